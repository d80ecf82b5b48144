#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ci/series on a base that is made up: a new base is added as
# Documentation/workflow.md says, its series are made, changed and written back, and
# what is wrong with them is said.
set -u
unset BASE UTILS_BASE BUILD TINY_SRC
cd "$(dirname "$0")/../.." || exit 1
. ci/tap.sh

# A copy of this repository without its series.
copy=$T/copy
mkdir "$copy"
git ls-files -z -- ':!patches' | xargs -0 cp --parents -Pt "$copy"
cd "$copy" || exit 1

# --- a new base: sources, a file, and nothing else
mkdir -p "$T/tiny-1.0/src"
for f in a b c d; do seq 40 > "$T/tiny-1.0/src/$f"; done
echo '/*' > "$T/tiny-1.0/.gitignore"
tar -C "$T" -czf "$T/tiny_1.0.orig.tar.gz" tiny-1.0
export TINY_SRC=$T/tiny_1.0.orig.tar.gz
cat > kernel/tiny-1.0.base <<-END
	KIND=linux
	TITLE="Tiny 1.0"
	CODENAME=trixie-backports
	PACKAGE=tiny
	PACKAGE_TYPE=source
	VERSION=1.0~rc2-1
	FILE=tiny_1.0.orig.tar.gz
	SHA256=$(sha256sum < "$TINY_SRC" | cut -d' ' -f1)
	OVERRIDE=TINY_SRC
END
base=tiny-1.0
tree=build/$base/tree
patches=patches/$base
series() { ci/series "$1" $base; }
g() { git -C "$tree" -c commit.gpgsign=false "$@"; }
state() { [ "$(ci/series status $base)" = "$1" ] || { echo "the state is $(ci/series status $base), not $1"; return 1; }; }
# A commit that changes line LINE of file src/FILE.
commit() # FILE LINE SUBJECT
{
	sed -i "$2s/\$/ $3/" "$tree/src/$1" && g commit -qam "$3"
}
letter() # SERIES TEXT...
{
	g config "branch.$1.description" "$(printf '%s\n' "${@:2}")"
}

check "a new base is in the list of its kind" grep -qx $base <(ci/series list linux)
check "... and not among those of the other" bash -c "! ci/series list erofs-utils | grep -x $base"
check "make tree unpacks it" make -s tree BASE=$base
check "... to build/BASE/tree" cmp "$tree/src/a" "$T/tiny-1.0/src/a"
check "... without a .gitignore that hides new files" test ! -e "$tree/.gitignore"
check "make takes it as BASE=" bash -c "make -s print-KERNEL BASE=$base | grep -q /build/$base/kernel-fast/"
fails "make says which bases there are" "BASE=nothing is not one of: .*$base" make tree BASE=nothing
truncate -s 1T "$T/large.orig.tar.gz"
fails "a tree that does not fit is not begun" "$base needs about [0-9]* MiB in .*, but only [0-9]* MiB are free" \
	env BUILD="$T/full" TINY_SRC="$T/large.orig.tar.gz" ci/series tree $base
check "a base without a series is no error" make -s patches BASE=$base

suites() { ci/debian-apt "$1" sources | awk '$1 == "deb" { print $(NF - 1) }' | xargs; }
if [ -z "$(suites trixie)" ]; then
	skip "suites of Debian" "this machine's apt names no Debian mirror"
else
	check "a release is read with its updates" grep -qx "trixie trixie-updates.*" <(suites trixie)
	for s in trixie-backports sid experimental; do
		check "$s is read by itself" grep -qx "$s" <(suites $s)
	done
fi
fails "a suite of another form is refused" "is no Debian suite" ci/debian-apt ../x sources

# --- series are made
sed -i '1s/$/ x/' "$tree/src/a"
fails "a change that is not committed is said" "not committed" series patches
g commit -qam x
fails "commits need a series" "git checkout -b 1-fixes" series patches
g reset -q --hard base
for s in "1-fixes a" "2-dax b" "3-memory c" "4-share d"; do
	g checkout -q -b "${s% *}"
	commit "${s#* }" 5 "${s% *}: one"
	commit "${s#* }" 25 "${s% *}: two"
done
fails "a series needs a cover letter" "1-fixes has no cover letter; .*--edit-description 1-fixes" series patches
letter 1-fixes "fixes" "" "What it is." "" "Depends on: nothing"
letter 2-dax "dax ä" "" "Ein Ärgernis." "depends on: 1-fixes"
letter 3-memory "memory" "" "Text." "" "depends on: 2-dax"
letter 4-share "share" "" "Text."
fails "a cover letter needs the series that it depends on" "4-share needs one line .depends on:" series patches
letter 4-share "share" "" "depends on: 1-fixes, 5-verity"
fails "... and they come before it" "4-share depends on '5-verity', which is no series before it" series patches
letter 4-share "share" "" "depends on: 1-fixes"
check "make patches writes them" series patches
check "each series is a folder with a cover letter" test "$(echo $patches/*/0000-cover-letter.txt)" = \
	"$patches/1-fixes/0000-cover-letter.txt $patches/2-dax/0000-cover-letter.txt $patches/3-memory/0000-cover-letter.txt $patches/4-share/0000-cover-letter.txt"
check "... which says what the base is" grep -qx "base-commit: $(basename "$TINY_SRC")" $patches/4-share/0000-cover-letter.txt
check "what a series needs is followed" diff - <(ci/series order $base) <<-END
	1-fixes
	2-dax 1-fixes
	3-memory 1-fixes 2-dax
	4-share 1-fixes
END
check "all is the same then" state same

# --- nothing is lost on the way
same_series() # what writing gives is what there was
{
	rm -rf "$T/out"
	ci/series write $base "$T/out" && diff -r $patches "$T/out"
}
check "writing changes no byte" same_series
again() { rm -rf $tree && series tree && same_series; }
check "... nor does making the tree anew" again
plain()
{
	git -C "$T/tiny-1.0" init -q && git -C "$T/tiny-1.0" add -Af &&
		git -C "$T/tiny-1.0" -c user.name=x -c user.email=x commit -qm base &&
		git -C "$T/tiny-1.0" -c user.name=x -c user.email=x am -q "$copy/$patches"/*/*.patch &&
		[ "$(git -C "$T/tiny-1.0" ls-tree HEAD src)" = "$(g ls-tree HEAD src)" ]
}
check "git am of all folders gives the same tree" plain

# --- a patch in the middle is changed, one is added, as workflow.md says
change()
{
	# Patch 2 of series 1.
	GIT_SEQUENCE_EDITOR="sed -i '2s/^pick/edit/'" g rebase -q -i base &&
		sed -i '30s/$/ more/' "$tree/src/a" && g commit -q -a --amend --no-edit && g rebase --continue &&
		series patches && same_series
}
check "git rebase -i moves the branches of all series" change
check "... the change is in its patch" grep -q '^+30 more' $patches/1-fixes/0002-*
check "... and nowhere else" test "$(grep -rl '30 more' $patches | wc -l)" = 1
add()
{
	g checkout -q 2-dax && commit b 35 "2-dax: three" && g checkout -q 4-share && g rebase -q 2-dax &&
		series patches && [ "$(ls $patches/2-dax | wc -l)" = 4 ] && [ "$(ls $patches/4-share | wc -l)" = 3 ]
}
check "a patch is added to a series in the middle" add
g checkout -q 2-dax && commit b 15 "2-dax: four" && g checkout -q 4-share
fails "a series that does not stand on the one before is said" "branch '3-memory' does not stand on '2-dax'; .*git rebase 2-dax" series patches
remedy=$(grep -o 'git checkout .* rebase 2-dax' "$T/check.out")
check "... and what it says to do puts it right" bash -c "cd $tree && ${remedy:-false}"
check "... so that it can be written" series patches
letter 2-dax "dax" "" "depends on: 1-fixes"
check "a new cover letter alone is work" state work
check "... and is written" series patches
check "... to its folder" grep -q "^Subject: \[PATCH 0/4\] dax$" $patches/2-dax/0000-cover-letter.txt

# --- what is wrong is said
g checkout -q 3-memory
fails "HEAD is elsewhere" "is on 3-memory, but its last series is '4-share'" series patches
g checkout -q 4-share
g branch -q -m 2-dax 2-other
fails "a branch is missing" "has no branch '2-dax', but there is $patches/2-dax" series patches
g branch -q -m 2-other 2-dax
g branch -q 2-other
fails "two series of one number" "2-dax and 2-other" series patches
g branch -q -D 2-other
g checkout -q -b 5-verity
fails "a series without commits" "'5-verity' has no commits" series patches
commit a 1 "5-verity: one" && letter 5-verity verity "" "depends on: 2-dax 4-share"
check "a new series is begun" series patches
check "... and is there" test -e $patches/5-verity/0001-5-verity-one.patch
gone() { g checkout -q 4-share && g branch -q -D 5-verity && rm -r $patches/5-verity && state work && series patches && state same; }
check "a series is removed with its branch and its folder" gone
commit d 33 "4-share: three"
sed -i 's/^+5 .*/+5 changed/' $patches/1-fixes/0001-*
fails "tree and patches have both changed" "both $tree and $patches changed" series tree
g reset -q --hard HEAD^
check "patches that changed are applied" series tree
check "... each to its series" grep -qx '5 changed' <(g show 1-fixes:src/a)
touch $patches/0001-x.patch
fails "a patch outside of a series is said" "0001-x.patch is no series" series tree
rm $patches/0001-x.patch
sed -i 's/^-5$/-nothing/' $patches/3-memory/0001-*
fails "a patch that does not apply is said" "a patch of $patches/3-memory does not apply to this Tiny 1.0: .* 3-memory: one" series tree

# --- sources of one's own
git_source()
{
	rm -rf $tree $patches && TINY_SRC=$T/tiny-1.0 series tree && g checkout -q -b 1-fixes && commit b 3 one &&
		letter 1-fixes x "" "depends on: nothing" && series patches &&
		grep -q "^base-commit: $(git -C "$T/tiny-1.0" rev-parse HEAD) (" $patches/1-fixes/0000-cover-letter.txt
}
check "the base of a git tree is its commit" git_source
fails "a tree of other sources is not taken for these" "was made of .*, not of TINY_SRC=" series tree
check "... and another base does not care" env BASE=linux-6.12 ci/series tree $base
done_testing

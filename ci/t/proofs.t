#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ci/prove-fixes and ci/faults on a base that is made up, where a kernel is its sources
# and a test fails if they have a word: what proves something, and what does not.
set -u
unset BASE UTILS_BASE BUILD TINY_SRC ONLY ONLY_BASES
cd "$(dirname "$0")/../.." || exit 1
. ci/tap.sh

copy=$T/copy
mkdir "$copy"
git ls-files -z -- ':!patches' ':!ci/mutants' | xargs -0 cp --parents -Pt "$copy"
cd "$copy" || exit 1
rm kernel/*.base
mkdir -p "$T/tiny-1.0/src" ci/mutants
seq 40 | sed '5s/$/ results/; 20s/$/ warning/' > "$T/tiny-1.0/src/a"
tar -C "$T" -czf "$T/tiny_1.0.orig.tar.gz" tiny-1.0
export TINY_SRC=$T/tiny_1.0.orig.tar.gz
printf '%s\n' KIND=linux TITLE=Tiny CODENAME=x PACKAGE=tiny PACKAGE_TYPE=source VERSION=1.0-1 \
	FILE=tiny_1.0.orig.tar.gz SHA256= OVERRIDE=TINY_SRC > kernel/tiny-1.0.base
ln -sf tiny-1.0.base kernel/default
cat > kernel/build <<-'END'
	#!/bin/sh
	mkdir -p "$3/arch/x86/boot" && cat "$2"/src/* > "$3/arch/x86/boot/bzImage"
END
cat > qemu/vm <<-'END'
	#!/bin/sh
	while [ "$1" != --kernel ]; do shift; done
	case $(grep -oEm1 'results|warning|endless|prepare|skip' "$2") in
	results) printf 'not ok 1 - t: x\n# 1 of 3 results are not ok\n# not ok 2 - second\n'; exit 1 ;;
	warning) printf 'not ok 1 - t: x\n# the guest printed a kernel warning: BUG\n# | BUG: x\n'; exit 1 ;;
	endless) printf 'not ok 1 - t: x\n# no end within the time limit of 60 s\n'; exit 1 ;;
	prepare) printf 'not ok 1 - t: x\n# image x cannot be made\n'; exit 1 ;;
	skip) echo 'ok 1 - t: x # SKIP the kernel has no CONFIG_X' ;;
	*) echo 'ok 1 - t: x' ;;
	esac
END
tree=build/tiny-1.0/tree
g() { git -C "$tree" -c commit.gpgsign=false "$@"; }
commit() { sed -i "$1" "$tree/src/a" && g commit -qam "$2"; }
series()
{
	ci/series tree tiny-1.0 && g checkout -q -b 1-fixes && commit '5s/ results//' 'a: one' &&
		commit '20s/ warning//' 'a: two' && commit '20s/$/ more/' 'a: three' &&
		g config branch.1-fixes.description $'x\n\ndepends on: nothing' && ci/series patches tiny-1.0
}
check "a base with a series" series
printf '%s : backends\n' 'a: one' 'a: two' > ci/fixes.txt
echo 'S1 : open a thing' > ci/faults.txt
# mutant NAME LINE WORD [HEAD-LINE...]
mutant()
{
	{
		printf '# %s\n' "test: backends" "why: x" "${@:4}"
		sed "$2s/\$/ $3/" "$tree/src/a" | diff -u --label a/src/a --label b/src/a "$tree/src/a" -
	} > "ci/mutants/$1.diff"
	echo "S1 : mutant $1.diff" >> ci/faults.txt
}
prove() { ONLY=$1 ci/prove-fixes; }
proves() # REGEX-OF-NAME REGEX-OF-OUTPUT
{
	prove "$1" > "$T/prove" && grep -qE "$2" "$T/prove" && return 0
	echo "wanted: $2"; cat "$T/prove"
	return 1
}

check "a patch that is taken out" proves one '^# not ok 2 - second'
check "... is known then" proves one '^# \(known\) not ok 2 - second'
echo '# changed' >> qemu/tests/core/backends.sh
check "... until its test changes" proves one '^# not ok 2 - second'
check "a patch on which another stands is taken out with it" proves two '^# \| BUG: x'
mutant S1 30 results
check "a mutant by which a result is not ok" proves S1.diff '^# not ok 2 - second'
mutant S1-warning 31 warning
check "a mutant by which the kernel warns" proves S1-warn '^# \| BUG: x'
mutant S1-endless 31 endless
check "a mutant by which the test does not end" proves S1-end 'no end within'
mutant S1-point 31 results 'point: sec[o]nd'
check "a mutant of which a certain result is wanted" proves S1-point 'sec'
mutant S1-none 32 harmless
fails "a mutant that does no harm proves nothing" '^# the test passes' prove S1-none
mutant S1-prepare 32 prepare
fails "a test that is not reached proves nothing" 'did not get far enough to fail: image x' prove S1-prepare
mutant S1-skip 32 skip
fails "a test that is skipped proves nothing" 'did not get far enough to fail: it is skipped: the kernel has no' prove S1-skip
mutant S1-other 32 results 'point: third'
fails "another result than the one that was meant" "nothing that matches 'third'" prove S1-other
check "all mutants apply" ci/prove-fixes --applies tiny-1.0
mutant S1-elsewhere 32 results 'bases: linux-6.12'
check "a mutant for another base is left out, and that is said" proves S1-else '^# S1-elsewhere.diff is for linux-6.12'
sed -i 's/^ 29$/ 29 or so/' ci/mutants/S1.diff
fails "a mutant that does not apply" 'S1.diff: git apply: .*src/a' ci/prove-fixes --applies tiny-1.0
fails "... is a failure" '^not ok 1 .* backends fails with S1.diff' prove '^S1.diff'
fails "a regular expression that is none" 'ONLY=\[ is no regular expression' prove '['
check "all that is named is there" ci/faults --check

broken()
{
	commit '7s/$/ results/' 'a: broken' && ci/series patches tiny-1.0 && prove S1-point
}
fails "a test that fails without the mutant, too, proves nothing" 'does not pass on the series as they are' broken

# --- ci/faults.txt and what it names
cp ci/faults.txt "$T/faults"
wrong() # LINE
{
	cp "$T/faults" ci/faults.txt
	echo "$1" >> ci/faults.txt
	ci/faults --check
}
fails "a test that there is not" "no test 'none'" wrong 'S1 : test none'
fails "a host test that there is not" "no test 'ci/t/none.t'" wrong 'S1 : test ci/t/none.t'
fails "a mutant that there is not" 'no ci/mutants/S9.diff' wrong 'S1 : mutant S9.diff'
fails "a fix that there is not" "ci/fixes.txt has no fix 'x'" wrong 'S1 : fix x'
fails "a document that does not say it" "README.md does not say 'no such words'" wrong 'S1 : documented README.md: no such words'
fails "a number that is left out" 'lacks S2' wrong 'S3 : open x'
fails "a line of another form" "write 'NUMBER : test" wrong 'S1 x'
cp "$T/faults" ci/faults.txt
check "what there is" wrong 'S2 : test backends'
check "a document that says it" wrong 'S2 : documented README.md: held once in memory'
wrong 'M1 : open another thing' > /dev/null
check "open ones are listed" grep -qx '2 faults, 1 open: M1' <(ci/faults | tail -n 1)
cp "$T/faults" ci/faults.txt
cp ci/mutants/S1-point.diff ci/mutants/S1-new.diff
fails "a mutant that no line names" 'names S1-new.diff' ci/faults --check
rm ci/mutants/S1-new.diff
mutant S1-test 3 x 'speed: 3'
fails "a key that there is not" "S1-test.diff: '# speed:' is no key" ci/faults --check
sed -i '/speed/d; s/test: backends/test: none/' ci/mutants/S1-test.diff
fails "a mutant of a test that there is not" "S1-test.diff: there is no guest test 'none'" ci/faults --check
sed -i '/test:/d' ci/mutants/S1-test.diff
fails "a mutant without a test" "its head lacks '# test: ...'" ci/faults --check
rm ci/mutants/S1-test.diff && cp "$T/faults" ci/faults.txt
echo 'a: four : backends' >> ci/fixes.txt
fails "a fix that no base has" "no base has a patch 'a: four'" ci/faults --check
done_testing

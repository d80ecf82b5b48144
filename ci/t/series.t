#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The series of each base: they are written back as they are, each applies to the
# base with those that it depends on, and all of them to the newest
# release that Debian offers; checkpatch finds nothing in the patches of a kernel.
# ONLY_BASES names the bases if not all are meant.
#
# What was proved once for the same patches and sources is kept in build/check.
set -u
cd "$(dirname "$0")/../.." || exit 1
top=$PWD
: "${BUILD:=$PWD/build}"
. ci/tap.sh
. ci/proved.sh

# What git am warns of, checkpatch may not see: a new file that ends with a blank line.
git_am() # DIR PATCH...
{
	GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x \
		git -C "$1" -c gc.auto=0 am -q --whitespace=error "${@:2}"
}

round_trip() # BASE
{
	local state

	ci/series tree "$1" || return 1
	state=$(ci/series status "$1")
	[ "$state" = same ] ||
		{ echo "build/$1/tree has work that is not written to patches/ ($state); run 'make patches'"; return 1; }
	ci/series write "$1" "$T/$1" || return 1
	diff -r "patches/$1" "$T/$1"
}

# Apply a series to the base with those that it needs, and nothing else, in a
# checkout of only the files that are touched.
stands_on() # BASE SERIES NEEDED...
{
	local base=$1 tree=$BUILD/$1/tree dir=$BUILD/$1/check/apply s patches=() id

	shift
	for s in $(printf '%s\n' "$@" | sort); do patches+=("$top/patches/$base/$s"/*.patch); done
	id=$({ git -C "$tree" rev-parse base; cat "${patches[@]}"; } | key)
	proved "stands-$id" && return 0
	git -C "$tree" worktree remove -f "$dir" 2> /dev/null
	git -C "$tree" worktree prune
	git -C "$tree" worktree add -q --detach --no-checkout "$dir" base || return 1
	sed -nE 's,^diff --git a/(.*) b/.*,/\1,p' "${patches[@]}" | sort -u |
		git -C "$dir" sparse-checkout set --no-cone --stdin &&
		git -C "$dir" checkout -q && git_am "$dir" "${patches[@]}" || return 1
	git -C "$tree" worktree remove -f "$dir"
	prove "stands-$id"
}

# Apply all series to VERSION as CODENAME has it: only the files that they touch
# are unpacked.
applies() # BASE CODENAME VERSION
{
	local base=$1 file dir=$T/apply-$1-$3 id

	file=$(ci/series fetch "$base" "$3" "$2") || return 1
	id=$({ cat "patches/$base"/*/*.patch; stat -c '%s %n' "$file"; } | key)
	proved "apply-$id" && return 0
	ci/series unpack "$file" "$dir" "$base" || return 1
	git -C "$dir" init -q && git -C "$dir" add -A -f &&
		git -C "$dir" -c user.name=x -c user.email=x commit -q --allow-empty -m base &&
		git_am "$dir" "$top/patches/$base"/*/*.patch || return 1
	rm -rf "$dir"
	prove "apply-$id"
}

style()
{
	local out

	# From stdin: a file that git tracks would be checked as source code.
	# In the tree, for checks that look at its documentation.  UNDOCUMENTED_SETUP
	# complains though the same patch documents the parameter, CAMELCASE of
	# Opt_NAME, which is how file systems call their mount options, and
	# UNKNOWN_COMMIT_ID of every Fixes: line, as the base is no clone of Linux, and
	# OPEN_BRACE of a function that is called erofs_for_each_inode().  BIT_MACRO asks
	# one flag of iomap.h to be written unlike its neighbours.
	out=$({ cd "$tree" && perl scripts/checkpatch.pl --strict --no-signoff --terse \
		--ignore BIT_MACRO,FILE_PATH_CHANGES,UNDOCUMENTED_SETUP,UNKNOWN_COMMIT_ID,OPEN_BRACE - 2> "$T/style.err"; } < "$1") && return 0
	# It worked if nothing but the total is left.
	echo "$out" | grep -vE 'CHECK: Avoid CamelCase: <Opt_[a-z_]*>$' > "$T/style"
	[[ $(cat "$T/style") =~ ^total:\ [^$'\n']*$ ]] && return 0
	cat "$T/style" "$T/style.err"
	return 1
}

style_known() # PATCH
{
	local id

	id=style-$({ declare -f style; echo "$base"; cat "$1"; } | key)
	proved "$id" || { style "$1" && prove "$id"; }
}

for base in ${ONLY_BASES:-$(ci/series list)}; do
	compgen -G "patches/$base/*/*.patch" > /dev/null || continue
	check "$base: writing the series back changes no byte" round_trip "$base" || continue

	while read -r series needed; do
		# shellcheck disable=SC2086
		check "$base: $series applies to the base with ${needed:-nothing else}" stands_on "$base" "$series" $needed
	done < <(ci/series order "$base")

	versions=$(ci/series versions "$base" 2> /dev/null)
	# By upstream version; of equal ones the first is as good as the last.  Older ones than
	# the pinned one lack fixes of the stable tree that the series stand on.
	newest=$(echo "$versions" | sed -n 1p)
	if [ -z "$versions" ]; then
		skip "$base: applies to the newest release" "no package lists; is there a network?"
	else
		check "$base: git am succeeds on ${newest#* } (${newest% *})" applies "$base" "${newest% *}" "${newest#* }"
	fi
	if grep -qx "$base" <(ci/series list linux); then
		check "$base: every mutant in ci/mutants applies to the last series" ci/prove-fixes --applies "$base"
		tree=$BUILD/$base/tree
		for p in "patches/$base"/*/*.patch; do
			check "$base: $(basename "$p" .patch): checkpatch --strict" style_known "$p"
		done
	fi
	grep -l '^Signed-off-by:' "patches/$base"/*/*.patch > "$T/sob"
	ok $((! $? )) "$base: no patch is signed off, that is the submitter's part"
done
check "ci/faults.txt, ci/fixes.txt and ci/mutants name what there is" ci/faults --check
done_testing

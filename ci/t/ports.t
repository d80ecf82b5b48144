#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The series of each kernel base on other architectures, as modules and built in, with and
# without DAX: what they change compiles without a warning that the base does not have, and
# some are linked.  kernel/ports has the list.
# PORTS="NAME..." builds all variants of these architectures, PORTS=all of all; otherwise
# one variant of the two that are quick: file systems, DAX, NVDIMMs and mm, without sparse, of which
# the base has many warnings, and without linking.  ONLY_BASES names the bases if not all
# are meant.
#
# What was proved once for the same series and compiler is kept in build/check.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=$PWD/build}"
export BUILD
. ci/tap.sh
. ci/proved.sh
. ci/objects.sh

property() { sed -n "s/^# $2: //p" "kernel/ports/arch/$1.config"; }

# The programs of a compiler, and their versions.
compiler_of() # PORT
{
	local compiler

	compiler=$(property "$1" compiler)
	case $compiler in
	gcc)  gcc --version ;;
	*)    "${compiler}gcc" --version ;;
	esac 2> /dev/null
}

# With what it says of its own, the base need not be better.
builds() # PORT VARIANT
{
	local again new

	# shellcheck disable=SC2086
	kernel/ports/build "$1" "$2" "$tree" "$BUILD/$base/ports/$1" $targets > "$T/warnings" ||
		{ cat "$T/warnings"; return 1; }
	[ -s "$T/warnings" ] || return 0
	# Of the base only the objects that have warnings.
	again=$(sed -E 's/\.c: .*/.o/' "$T/warnings" | sort -u)
	ci/series worktree "$base" "$BUILD/$base/unpatched/tree" || return 1
	# shellcheck disable=SC2086
	LINK='' UNCHECKED=1 kernel/ports/build "$1" "$2" "$BUILD/$base/unpatched/tree" \
		"$BUILD/$base/unpatched/ports/$1" $again > "$T/of-base" ||
		{ cat "$T/of-base"; echo "that is the unpatched base, to compare warnings with"; return 1; }
	new=$(comm -23 "$T/warnings" "$T/of-base")
	[ -z "$new" ] || { echo "new warnings:"; echo "$new"; return 1; }
}

one() # PORT VARIANT
{
	local id name what=compiles

	[ -z "$LINK" ] || what="compiles and links"
	[ "$SPARSE" = 1 ] || what="file systems, DAX, NVDIMMs and mm compile"
	name="$base: $1, $2: $what without a new warning"
	id=ports-$({ echo "$base $1 $2 $LINK $SPARSE $targets"; compiler_of "$1"; sparse --version
		git -C "$tree" rev-parse "base^{tree}" "HEAD^{tree}"
		cat kernel/ports/{build,sparse,common.config} "kernel/ports/arch/$1.config" "kernel/ports/variants/$2.config"; } | key)
	if proved "$id"; then
		ok 0 "$name (known)"
	elif [ "$(date +%s)" -gt "${CHECK_UNTIL:-$((1 << 40))}" ]; then
		skip "$name" "no time left for it; 'make check-ports' takes all it needs"
	else
		check "$name" builds "$1" "$2" && prove "$id"
	fi
}

port() # PORT all|short
{
	local v variants

	[ -e "kernel/ports/arch/$1.config" ] ||
		{ ok 1 "$base: there is no architecture '$1' in kernel/ports/arch"; return; }
	compiler_of "$1" > /dev/null ||
		{ skip "$base: $1" "its compiler is missing; install $(property "$1" packages)"; return; }
	variants=$(property "$1" variants)
	export LINK=
	[ "$2" = short ] || [ "$(property "$1" links)" != yes ] || LINK=1
	[ "$2" != short ] || variants=${variants%% *}
	for v in $variants; do one "$1" "$v"; done
}

mode=all
export SPARSE=1
case ${PORTS:-} in
'')  ports=$(grep -l '^# short: yes$' kernel/ports/arch/*.config) mode=short SPARSE=0 ;;
all) ports=$(ls kernel/ports/arch/*.config) ;;
*)   ports=$PORTS ;;
esac
for base in $(ci/series list linux); do
	[[ " ${ONLY_BASES:-$base} " == *" $base "* ]] || continue
	compgen -G "patches/$base/*/*.patch" > /dev/null || continue
	tree=$BUILD/$base/tree
	ci/series tree "$base" && [ "$(ci/series status "$base")" = same ] ||
		{ ok 1 "$base: the tree has no work that is not written to patches/"; continue; }
	targets=$(git -C "$tree" diff --name-only base HEAD | objects "$tree")
	[ $mode = all ] || targets=$(grep -E '^(fs|mm|drivers/(dax|nvdimm))/' <<< "$targets")
	for p in $ports; do
		port "$(basename "$p" .config)" "$mode"
	done
done
done_testing

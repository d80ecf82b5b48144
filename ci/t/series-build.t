#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The patches of each kernel base, one by one: each builds by itself, with its options
# on and off, without a new warning.
# ONLY_BASES names the bases if not all are meant.
#
# What was proved once for the same patches, base and compiler is kept in
# build/check, so that a second run is quick.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=$PWD/build}"
. ci/tap.sh
. ci/proved.sh
. ci/objects.sh

# Build the targets that this commit has, in the build directory of a variant,
# with W=1 and sparse; warnings, without line numbers, are added to FILE.
build() # FILE VARIANT TARGET...
{
	local file=$1 variant=$2 t have=()

	shift 2
	for t in "$@"; do
		case $t in
		*/) [ ! -d "$work/$t" ] || have+=("$t") ;;
		*)  [ ! -e "$work/${t%.o}.c" ] || have+=("$t") ;;
		esac
	done
	CCACHE_BASEDIR=$out CCACHE_NOHASHDIR=1 make -C "$work" O="$out/$variant" CC="ccache gcc" \
		W=1 C=1 -j"$(nproc)" "${have[@]}" > "$T/make.log" 2>&1 || {
		grep -E -A4 'error:|Error [0-9]' "$T/make.log" | head -n 20
		return 1
	}
	grep -E '(warning|error):' "$T/make.log" | sed -E "s|^.*/tree/||; s/:[0-9]+(:[0-9]+)?:/:/" |
		sort -u >> "$file"
}

# Configure a variant: all options of the series that this commit knows are on,
# but for those named.
configure() # VARIANT OPTION-OFF...
{
	local variant=$1 o

	shift
	for o in "$@"; do echo "# $o is not set"; done > "$T/off.config"
	# Our guests do without, but the series changes it.
	! grep -qs '^config EROFS_FS_ONDEMAND' "$work/fs/erofs/Kconfig" ||
		printf 'CONFIG_%s=y\n' NETFS_SUPPORT FSCACHE CACHEFILES CACHEFILES_ONDEMAND EROFS_FS_ONDEMAND >> "$T/off.config"
	# An option may depend on one that is off.
	MAY_DROP=${*:+${opts[*]}} CONFIG_ONLY=1 kernel/build fast "$work" "$out/$variant" "$T/off.config"
}

options_at() # COMMIT
{
	git -C "$tree" diff base "$1" -- '*Kconfig*' |
		sed -nE 's/^\+(menu)?config ([A-Z0-9_]+)$/CONFIG_\2/p' | sort -u
}

# Every option on; every option off; and with EACH, each one off alone.
builds() # COMMIT [EACH]
{
	local commit=$1 each=${2:-} new opts o

	ci/series worktree "$base" "$work" "$commit" || return 1
	mapfile -t opts < <(options_at "$commit")
	: > "$T/warnings"
	# shellcheck disable=SC2086
	configure on && build "$T/warnings" on $objects || { echo "with every option on"; return 1; }
	# shellcheck disable=SC2086
	[ ${#opts[@]} -eq 0 ] || { configure off "${opts[@]}" && build "$T/warnings" off $objects; } ||
		{ echo "with every option off"; return 1; }
	[ -z "$each" ] || [ ${#opts[@]} -le 1 ] || for o in "${opts[@]}"; do
		# shellcheck disable=SC2086
		configure off "$o" && build "$T/warnings" off $objects || { echo "with $o off"; return 1; }
	done
	new=$(sort -u "$T/warnings" | comm -13 "$out/base-warnings" -)
	[ -z "$new" ] || { echo "new warnings:"; echo "$new"; return 1; }
}

# With SERIES_SECONDS patches are built for so long; the last state is built always, and first.
# With CHECK_UNTIL no base and no patch is begun after that, in seconds since 1970.
too_late() { [ "$(date +%s)" -gt "${CHECK_UNTIL:-$((1 << 40))}" ]; }
out_of_time() { [ $SECONDS -gt "${SERIES_SECONDS:-86400}" ] || too_late; }

each_builds()
{
	local commits c i last name toolchain base_key chain chains=()

	mapfile -t commits < <(git -C "$tree" rev-list --reverse base..HEAD)
	ci/series worktree "$base" "$work" base
	objects=$(git -C "$tree" diff --name-only base HEAD | objects "$work")
	toolchain=$(gcc --version; sparse --version; cat ci/t/series-build.t kernel/config/*.config kernel/config/arch/*.config)
	base_key=$(echo "$base $objects $toolchain" | key)
	if ! proved "base-$base_key"; then
		# The warnings that the base has of its own.
		: > "$T/warnings"
		# shellcheck disable=SC2086
		configure on && build "$T/warnings" on $objects || ok 1 "$base: the unpatched base builds"
		sort -u "$T/warnings" > "$out/base-warnings"
		prove "base-$base_key"
	fi
	# A patch is proved together with all that come before it.
	chain=$base_key
	for c in "${commits[@]}"; do
		chain=$({ echo "$chain"; git -C "$tree" show --format=%s "$c"; } | key)
		chains+=("$chain")
	done
	last=$((${#commits[@]} - 1))
	name="$base: all series build, with each option on and off"
	if proved "series-$chain"; then
		ok 0 "$name (known)"
	else
		check "$name" builds "${commits[last]}" each && prove "series-$chain"
	fi
	for i in "${!commits[@]}"; do
		name="$base: builds alone, no new warning: $(git -C "$tree" log -1 --format=%s "${commits[i]}")"
		if proved "build-${chains[i]}"; then
			ok 0 "$name (known)"
		elif out_of_time; then
			skip "$name" "no time left for it; 'make check-series' takes all it needs"
		else
			check "$name" builds "${commits[i]}" && prove "build-${chains[i]}"
		fi
	done
}

! too_late || skip_all "no time left for it; 'make check-series' takes all it needs"
for base in $(ci/series list linux); do
	[[ " ${ONLY_BASES:-$base} " == *" $base "* ]] || continue
	compgen -G "patches/$base/*/*.patch" > /dev/null || continue
	tree=$BUILD/$base/tree
	# As kernel/build has it: the way from an output to the tree is ../tree.
	out=$BUILD/$base/check
	work=$out/tree
	mkdir -p "$out"
	ci/series tree "$base" && [ "$(ci/series status "$base")" = same ] ||
		{ ok 1 "$base: the tree has no work that is not written to patches/"; continue; }
	each_builds
done
done_testing

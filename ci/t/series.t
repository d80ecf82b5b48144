#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The series of each base: they are written back as they are, apply to the
# oldest and the newest release that Debian offers, and each kernel patch
# builds by itself, with its options on and off, without a new warning.
#
# What was proved once for the same series, base and compiler is kept in
# build/check, so that a second run is quick.
set -u
unset MAKEFLAGS MFLAGS
cd "$(dirname "$0")/../.." || exit 1
top=$PWD
: "${BUILD:=$PWD/build}"
. ci/tap.sh

out=$BUILD/check
mkdir -p "$out"

# proved KEY: was this shown before?  prove KEY: it is shown now.
proved() { [ -e "$out/proved/$1" ]; }
prove() { mkdir -p "$out/proved" && : > "$out/proved/$1"; }
key() { sha256sum | cut -c1-32; }

# --- for each base: round trip, other releases, style -------------------------

round_trip() # BASE
{
	local state

	ci/series tree "$1" || return 1
	state=$(ci/series status "$1")
	[ "$state" = same ] || { echo "build/$1 has work that is not written to patches/ ($state); run 'make patches'"; return 1; }
	ci/series write "$1" "$T/$1" || return 1
	diff -r "patches/$1" "$T/$1"
}

# Apply the series to VERSION as CODENAME has it: only the files that the
# series touches are unpacked.
applies() # BASE CODENAME VERSION
{
	local base=$1 file dir=$T/apply-$1-$3 id

	file=$(ci/series fetch "$base" "$3" "$2") || return 1
	id=$({ cat "patches/$base"/*.patch; stat -c '%s %n' "$file"; } | key)
	proved "apply-$id" && return 0
	ci/series unpack "$file" "$dir" "$base" || return 1
	(
		cd "$dir" || exit 1
		export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x
		git init -q && git add -A -f && git commit -q --allow-empty -m base || exit 1
		git am -q "$top/patches/$base"/*.patch
	) || return 1
	rm -rf "$dir"
	prove "apply-$id"
}

numbered() { find "patches/$1" -name '*.patch' | sort; }

for base in $(ci/series list); do
	[ -n "$(numbered "$base")" ] || continue
	check "$base: writing the series back changes no byte" round_trip "$base"

	versions=$(ci/series versions "$base" 2> /dev/null)
	# By upstream version; of equal ones the first is as good as the last.
	newest=$(echo "$versions" | sed -n 1p)
	oldest=$(echo "$versions" | sed -n '$p')
	if [ -z "$versions" ]; then
		skip "$base: applies to the oldest and the newest release" "no package lists; is there a network?"
	else
		for v in "$oldest" "$newest"; do
			check "$base: git am succeeds on ${v#* } (${v% *})" applies "$base" "${v% *}" "${v#* }"
			[ "$oldest" != "$newest" ] || break
		done
	fi
	grep -l '^Signed-off-by:' "patches/$base"/*.patch > "$T/sob"
	ok $((! $? )) "$base: no patch is signed off, that is the submitter's part"
done

# --- the kernel series ----------------------------------------------------------

base=linux-6.12
tree=$BUILD/$base
work=$out/$base
obj=$out/obj

style()
{
	local out

	# From stdin: a file that git tracks would be checked as source code.
	# In the tree, for checks that look at its documentation.  UNDOCUMENTED_SETUP
	# complains though the same patch documents the parameter, CAMELCASE of
	# Opt_NAME, which is how file systems call their mount options.
	out=$({ cd "$tree" && perl scripts/checkpatch.pl --strict --no-signoff --terse \
		--ignore FILE_PATH_CHANGES,UNDOCUMENTED_SETUP - 2> "$T/style.err"; } < "$1") && return 0
	# It worked if nothing but the total is left.
	echo "$out" | grep -vE 'CHECK: Avoid CamelCase: <Opt_[a-z_]*>$' > "$T/style"
	[[ $(cat "$T/style") =~ ^total:\ [^$'\n']*$ ]] && return 0
	cat "$T/style" "$T/style.err"
	return 1
}

# What to build for the series: whole directories of file systems and drivers
# that have a Kconfig of their own, single objects elsewhere.
targets() # the changed files of the series, on stdin
{
	while read -r f; do
		case $f in
		tools/*|*/tools/*) ;;
		*.c)	d=$(dirname "$f")
			if [ "$d" != fs ] && [ "$d" != mm ] && [ -e "$work/$d/Kconfig" ]; then
				echo "$d/"
			else
				echo "${f%.c}.o"
			fi ;;
		esac
	done | sort -u
}

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
	CCACHE_BASEDIR=$BUILD CCACHE_NOHASHDIR=1 make -C "$work" O="$obj/$variant" CC="ccache gcc" \
		W=1 C=1 -j"$(nproc)" "${have[@]}" > "$T/make.log" 2>&1 || {
		grep -E -A4 'error:|Error [0-9]' "$T/make.log" | head -n 20
		return 1
	}
	grep -E '(warning|error):' "$T/make.log" | sed -E "s|^.*/$base/||; s/:[0-9]+(:[0-9]+)?:/:/" |
		sort -u >> "$file"
}

# Configure a variant: all options of the series that this commit knows are on,
# but for those named.
configure() # VARIANT OPTION-OFF...
{
	local variant=$1 o

	shift
	for o in "$@"; do echo "# $o is not set"; done > "$T/off.config"
	# An option may depend on one that is off.
	MAY_DROP=${*:+${opts[*]}} CONFIG_ONLY=1 kernel/build fast "$work" "$obj/$variant" "$T/off.config"
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

	ci/series worktree $base "$work" "$commit" || return 1
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

# With SERIES_SECONDS patches are built until that time is over; the last state
# is built always, and first.
SERIES_SECONDS=${SERIES_SECONDS:-86400}

if [ -n "$(numbered $base)" ] && [ "$(ci/series status $base)" = same ]; then
	for p in $(numbered $base); do
		check "$(basename "$p" .patch): checkpatch --strict" style "$p"
	done
	mapfile -t commits < <(git -C "$tree" rev-list --reverse base..series)
	ci/series worktree $base "$work" base
	objects=$(git -C "$tree" diff --name-only base series | targets)
	toolchain=$(gcc --version; sparse --version; cat kernel/config/*.config)
	base_key=$(echo "$objects $toolchain" | key)
	if ! proved "base-$base_key"; then
		# The warnings that the base has of its own.
		: > "$T/warnings"
		# shellcheck disable=SC2086
		configure on && build "$T/warnings" on $objects || ok 1 "the unpatched base builds"
		sort -u "$T/warnings" > "$out/base-warnings"
		prove "base-$base_key"
	fi
	# A patch is proved together with all that come before it.
	chain=$base_key
	chains=()
	for c in "${commits[@]}"; do
		chain=$({ echo "$chain"; git -C "$tree" show --format=%s "$c"; } | key)
		chains+=("$chain")
	done
	last=$((${#commits[@]} - 1))
	if proved "series-$chain"; then
		ok 0 "the whole series builds, with each option on and off (known)"
	else
		check "the whole series builds, with each option on and off" builds "${commits[last]}" each &&
			prove "series-$chain"
	fi
	for i in "${!commits[@]}"; do
		name="builds alone, no new warning: $(git -C "$tree" log -1 --format=%s "${commits[i]}")"
		if proved "build-${chains[i]}"; then
			ok 0 "$name (known)"
		elif [ $SECONDS -gt "$SERIES_SECONDS" ]; then
			skip "$name" "no time left for it; 'make check-series' takes all it needs"
		else
			check "$name" builds "${commits[i]}" && prove "build-${chains[i]}"
		fi
	done
fi
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each patch of each base of erofs-utils builds by itself, with gcc and with clang,
# with and without each library, and brings no new warning.
#
# The tools are configured once in each way, and then built for one patch after the
# other.  UTILS_SERIES_SECONDS says how long; what there was no time for is skipped.
# By default nothing is built but the end of each series, which is sent by itself: the images
# of "make utils" and of "make fuzz-build", which has another compiler and sanitizers, are
# compared.  "make check-utils-series" builds all.  What was proved once for the same
# sources and compilers is kept in build/check.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=$PWD/build}"
. ci/tap.sh
. ci/proved.sh

limit=${UTILS_SERIES_SECONDS:-0}

# Everything on; what is changed in each variant; the compilers.
read -ra all <<< "$(make -s print-UTILS_OPTIONS)"
none=(--disable-multithreading --disable-fuse --disable-lz4 --disable-lzma --without-zlib
	--without-libdeflate --without-libzstd --without-xxhash "--without-openssl --disable-s3" --without-uuid
	--without-selinux "--disable-oci --disable-fanotify" "--without-libcurl --disable-s3" --without-json-c
	--disable-s3 "--without-libxml2 --disable-s3" --disable-fanotify --without-libnl3 --disable-ublk)
variants=("" "${none[*]}" "${none[@]}" --enable-debug)
compilers=(gcc clang)

# The options of a variant, and its directory.
options() { echo "${all[*]} ${variants[$1]}"; }
dir() { echo "$out/$2-$1"; }
title()
{
	case $1 in
	0) echo "$2, everything" ;;
	1) echo "$2, nothing" ;;
	*) echo "$2, ${variants[$1]}" ;;
	esac
}

id() # COMMIT VARIANT COMPILER
{
	echo "utils-$({ git -C "$tree" rev-parse "$1^{tree}"; options "$2"; "$3" --version; } | key)"
}

# Builds what is checked out; adds the warnings, without line numbers, to FILE.
build() # FILE VARIANT COMPILER
{
	local d

	d=$(dir "$2" "$3")
	# shellcheck disable=SC2046
	CC=$3 CCACHE_BASEDIR=$BUILD CCACHE_NOHASHDIR=1 erofs-utils/build "$work" "$d" $(options "$2") || return 1
	grep -E 'warning:' "$d/log" | sed -E "s|^.*/tree/||; s/:[0-9]+(:[0-9]+)?:/:/" | sort -u >> "$1"
}

# The warnings that the unpatched base has of its own.
base_warnings() # VARIANT COMPILER
{
	local d

	d=$(dir "$1" "$2")
	[ ! -e "$d/base-warnings" ] || return 0
	rm -rf "$d"
	mkdir -p "$d"
	ci/series worktree "$base" "$work" base && build "$d/base-warnings.new" "$1" "$2" &&
		mv "$d/base-warnings.new" "$d/base-warnings"
}

builds() # COMMIT VARIANT COMPILER
{
	local new

	ci/series worktree "$base" "$work" "$1" || return 1
	: > "$T/warnings"
	build "$T/warnings" "$2" "$3" || return 1
	new=$(sort -u "$T/warnings" | comm -13 <(sort -u "$(dir "$2" "$3")/base-warnings") -)
	[ -z "$new" ] || { echo "new warnings:"; echo "$new"; return 1; }
}

point() # COMMIT VARIANT COMPILER
{
	local name

	name="$base, $(title "$2" "$3"): $(git -C "$tree" log -1 --format=%s "$1" | sed 's/^erofs-utils: //')"
	if proved "$(id "$@")"; then
		ok 0 "$name (known)"
	elif [ -z "${always:-}" ] && [ $SECONDS -gt "$limit" ]; then
		skip "$name" "no time left for it; 'make check-utils-series' takes all it needs"
	else
		check "$name" builds "$@" && prove "$(id "$@")"
	fi
}

# Builds that, or says why not.
try() # COMMIT VARIANT COMPILER
{
	local id="$base $*"

	[ -z "${tried[$id]:-}" ] || return
	tried[$id]=1
	proved "$(id "$@")" || [ -e "$(dir "$2" "$3")/base-warnings" ] ||
		{ [ -z "${always:-}" ] && [ $SECONDS -gt "$limit" ]; } ||
		check "$base, unpatched, builds: $(title "$2" "$3")" base_warnings "$2" "$3"
	point "$@"
}
declare -A tried=()

# What a compiler, threads and OpenSSL must have no part in: the images.
same() # DIR: of other tools
{
	local o m

	[ -d "$T/tree" ] || erofs-utils/tests/mktree "$T/tree" small || return 1
	for o in "" -b512 --chunksize=4096 --dax; do
		for m in "$1" "$BUILD/$base/tools"; do
			rm -f "$T/img"
			# shellcheck disable=SC2086
			"$m/mkfs/mkfs.erofs" -T0 -U12345678-1234-1234-1234-123456789abc --quiet --fingerprint $o \
				"$T/img" "$T/tree" || return 1
			[ "$m" = "$BUILD/$base/tools" ] || mv "$T/img" "$T/other.img"
		done
		cmp "$T/other.img" "$T/img" || { echo "mkfs.erofs $o"; return 1; }
	done
}
same_of_nothing()
{
	ci/series worktree "$base" "$work" "$last" && build "$T/warnings" 1 clang && same "$(dir 1 clang)"
}
all_of_base()
{
	local c cc v

	for cc in "${compilers[@]}"; do
		for v in "${!variants[@]}"; do
			try "$last" "$v" "$cc"
		done
	done
	for c in "${commits[@]}"; do
		for cc in "${compilers[@]}"; do
			try "$c" 0 "$cc"
			try "$c" 1 "$cc"
		done
	done
	for c in "${commits[@]}"; do
		for cc in "${compilers[@]}"; do
			for v in "${!variants[@]}"; do
				try "$c" "$v" "$cc"
			done
		done
	done
}

for base in $(ci/series list erofs-utils); do
	tree=$BUILD/$base/tree
	work=$BUILD/$base/check/tree
	out=$BUILD/$base/check
	ci/series tree "$base" && [ "$(ci/series status "$base")" = same ] ||
		{ ok 1 "$base: the tree has no work that is not written to patches/"; continue; }
	mapfile -t commits < <(git -C "$tree" rev-list --reverse base..HEAD)
	[ ${#commits[@]} -gt 0 ] || continue
	last=${commits[-1]}
	ok 0 "$base: the tree is what patches/ has"
	if [ ! -x "$BUILD/$base/tools/mkfs/mkfs.erofs" ]; then
		skip "$base: the same images from any compiler" "'make utils' has not built $base"
	elif [ ! -x "$BUILD/$base/tools-fuzz/mkfs/mkfs.erofs" ]; then
		skip "$base: the same images from any compiler" "'make fuzz-build' has not built $base"
	else
		export ASAN_OPTIONS=detect_leaks=0
		check "$base: the same images from any compiler" same "$BUILD/$base/tools-fuzz"
	fi
	# What is sent before the next series.
	for end in $(git -C "$tree" for-each-ref --format='%(objectname)' 'refs/heads/[1-9]-*'); do
		always=1 try "$end" 0 gcc
	done
	[ "$limit" != 0 ] || continue
	# What is worth most comes first.
	always=1 try "$last" 1 clang
	check "$base, clang, nothing: the same images as those of 'make utils'" same_of_nothing
	all_of_base
done
done_testing

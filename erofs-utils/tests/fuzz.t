#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Broken images and archives under AddressSanitizer and UndefinedBehaviorSanitizer: those kept
# by name end with an error and nothing else, and some fuzzing finds no other.
. "$(dirname "$0")/lib.sh"

F=$UTILS_BUILD/tools-fuzz/fsck/fsck.erofs
D=$UTILS_BUILD/tools-fuzz/dump/dump.erofs
[ -x "$F" ] && [ -x "$D" ] || bail "build the fuzzing targets first: make fuzz-build"

# An error of the sanitizers has an exit status of its own.  No image here is worth 1 GiB.
export ASAN_OPTIONS=exitcode=99:max_allocation_size_mb=1024 UBSAN_OPTIONS=exitcode=99
refused() { timeout 60 "$@" > /dev/null 2> "$T/err"; local rc=$?; cat "$T/err"; [ $rc = 1 ] && [ -s "$T/err" ]; }
ended() { timeout 60 "$@" > /dev/null 2> "$T/err"; local rc=$?; cat "$T/err"; [ $rc = 1 ]; }
for i in "$here"/erofs-utils/tests/images/should-fail-*; do
	name=$(basename "$i" .erofs)
	check "$name: fsck says what is wrong" refused "$FSCK" --extract --fingerprint "$i"
	check "$name: nothing worse happens" ended "$F" --extract --fingerprint "$i"
	check "$name: dump does not fall over" timeout 60 bash -c '
		for o in "--fingerprint" "--sharing" "-sS"; do "$1" $o "$2" > /dev/null 2>&1; [ $? -le 1 ] || exit 1; done' - "$D" "$i"
done
# mkfs itself, once: no leak of what it keeps is claimed, but no bad access either
"$here/erofs-utils/tests/mktree" "$T/small" small || bail "cannot make the tree"
for o in "" "-zlz4 -Efragments" "-zlz4 -Ededupe,all-fragments" --chunksize=4096 --dax; do
	# shellcheck disable=SC2086
	check "mkfs ${o:-plain}" env ASAN_OPTIONS=detect_leaks=0 "$UTILS_BUILD/tools-fuzz/mkfs/mkfs.erofs" --quiet --fingerprint $o "$T/img" "$T/small"
	check "fsck ${o:-plain}" "$F" --fingerprint "$T/img"
	check "sharing ${o:-plain}" "$D" --sharing "$T/img" "$T/img"
done

# Always the same inputs, or else luck would decide; "make fuzz-utils" takes random
# ones.  About half a minute on two cores, and never more than one.
declare -A runs=([fsck]=4000 [dump]=2500 [tar]=8000) pids=()
for tool in fsck dump tar; do
	"$here/erofs-utils/tests/fuzz" $tool 60 "${runs[$tool]}" > "$T/$tool.out" 2>&1 &
	pids[$tool]=$!
done
for tool in fsck dump tar; do
	wait "${pids[$tool]}"
	ok $? "fuzzing $tool: the first ${runs[$tool]} inputs"
	comment < "$T/$tool.out"
done
done_testing

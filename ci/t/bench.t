#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The benchmark on a small tree: every row runs, figures repeat, memory is what
# the backend promises.  The series' kernel stands for the base as well, which
# "make bench" builds and this test does not.
set -u
cd "$(dirname "$0")/../.." || exit 1
. ci/tap.sh

var() { make -s "print-$1"; }
BUILD=$(var BUILD) KERNEL=$(var KERNEL) MKFS=$(var MKFS) FSCK=$(var FSCK) DUMP=$(var DUMP)
export BUILD MKFS FSCK DUMP IMAGE=
unset FLAVOUR

mkdir -p "$T/tree"
for i in $(seq 60); do seq $((i * 1000)) $((i * 1000 + 60000)) > "$T/tree/$i"; done
ROOTFS=$T/tree qemu/images/rootfs "$T/out" -Enoinline_data 2> "$T/log" || cat "$T/log"

bench() # OPTION...
{
	qemu/bench --image "$T/out/golden.erofs" --list "$T/out/golden.list" --kernel "$KERNEL" \
		--base-kernel "$KERNEL" --work "$T/bench" "$@"
}
says() { jq -e "$1" "$T/bench/bench.json"; }

check "every row runs" bench
for q in '[.rows[].id] == ["erofs-dax", "erofs-dax-base", "ramdax", "erofs-blk", "erofs-blk-base", "ext4-dax", "squashfs", "tmpfs", "share", "share-off", "share-off-base"]' \
	'.workload.files == 60' \
	'.workload.bytes as $b | [.rows[].runs[0][] | select(.pass | test("^(read|mmap)")) | .bytes == $b] | all and length == 55' \
	'[.rows[].runs[0][] | select(.pass != "start") | (.ns >= .cpu_ns and .cpu_ns > 0) and .memfree_kib > 0] | all and length == 79' \
	'(.workload.bytes / 1024) as $k | [.rows[] | {(.id): .cache_and_buffers_kib}] | add |
		."erofs-dax" < $k / 4 and .ramdax < $k / 4 and ."ext4-dax" < $k / 4 and ."erofs-blk" > $k and .squashfs > $k' \
	'(.workload.bytes / 4096) as $p | [.rows[] | {(.id): [.runs[0][] | select(.pass == "mmap").faults][0]}] | add |
		."erofs-dax" < $p / 3 and .ramdax < $p / 3 and ."ext4-dax" >= $p and ."erofs-blk" < $p / 3' \
	'[.columns[].name] as $c | [.rows[].values | keys - $c | length == 0] | all' \
	'[.rows[] | .values.mmap * 1e6 - ([.runs[0][] | select(.pass == "mmap").cpu_ns][0]) | fabs < 1] | all' \
	'[.rows[] | select(.ratios != {}).id] == ["erofs-dax", "erofs-blk", "share-off"]' \
	'[.sharing[] | select(.limit) | .holds | type == "boolean"] | all and length == 7' \
	'[.sharing[] | select(.what | test("page cache of them|instructions of read")) | .holds] | all and length == 2' \
	'[.sharing[] | select(.what | test("unique|without")) | .value] | .[0] * 1.9 < .[1]'; do
	check "bench.json: $q" says "$q"
done

check "its picture is beside it" grep -q 'Two versions of the image in one guest' "$T/bench/bench.html"
check "two runs differ by at most 1 %, with and without a disk" bench --row erofs-dax --row erofs-blk --repeat 2
check "the spread is measured" says '.spread > 0 and .spread <= 0.01 and (.rows[0].runs | length == 2)'
fails "a row that is not there" "no row 'ext5'; there are: erofs-dax" bench --row ext5
fails "no repetition" 'at least 1' bench --repeat 0
fails "a list that names other files" "row erofs-dax failed; repeat it with: make bench ROWS=erofs-dax" sh -c "
	printf '%064d  %s\0' 0 none > '$T/list'
	exec qemu/bench --image '$T/out/golden.erofs' --list '$T/list' --kernel '$KERNEL' \
		--base-kernel '$KERNEL' --work '$T/bench' --row erofs-dax"
done_testing

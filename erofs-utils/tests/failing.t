#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each of the allocations, of the reads, and of the writes, fails, once: one error and no output, or all is as it
# should be
. "$(dirname "$0")/lib.sh"

mkdir -p "$T/s/d/e" "$T/s2"
head -c 9000 /dev/urandom > "$T/s/a" && cp "$T/s/a" "$T/s/b" && seq 4000 > "$T/s/d/c" && ln "$T/s/a" "$T/s/d/hard"
ln -s x "$T/s/d/link" && truncate -s 1M "$T/s/hole" && mkfifo "$T/s/d/e/fifo" && echo 1 > "$T/s2/other"
tar -C "$T/s" -cf "$T/s.tar" .
mkimg --fingerprint "$T/in.img" "$T/s" && mkimg --fingerprint "$T/in2.img" "$T/s2" || bail "no images"

# each WHAT OUT COMMAND...: WHAT is for failnth; OUT is a file that the command makes, or - if
# it prints only
each()
{
	local what=$1 out=$2 n status
	shift 2
	[ "$out" != - ] || out=$T/out
	rm -f "$T/img"
	"$@" > "$T/out" 2> /dev/null && mv "$out" "$T/good" || return 1
	for ((n = 0; ; n++)); do
		rm -f "$T/img"
		status=0
		timeout 30 env LD_PRELOAD="$failnth" "$what=$n" "$@" > "$T/out" 2> "$T/err" || status=$?
		grep -q "^failnth: now" "$T/err" || break
		if [ $status = 0 ]; then
			cmp "$out" "$T/good"
		else
			[ $status = 1 ] && [ "$(wc -l < "$T/err")" -ge 2 ] && [ ! -e "$T/img" ]
		fi || { echo "$what=$n: exit status $status"; cat "$T/err"; return 1; }
	done
	[ $n -gt 3 ]
}
for o in "" "-zlz4 --workers=2" "-zlzma -Eall-fragments,dedupe" --chunksize=4096 "--dedupe-files -Enoinline_data" --dax; do
	check "each of the allocations fails, once: $o" each FAILALLOC "$T/img" "$MKFS" --quiet -T1 -Uclear --fingerprint $o "$T/img" "$T/s"
done
check "each of the allocations fails, once: --tar=f" each FAILALLOC "$T/img" "$MKFS" --quiet -T1 -Uclear --fingerprint --tar=f "$T/img" "$T/s.tar"
mkdir -p "$T/w/d" && touch "$T/w/d/.wh.gone" && ln -s "$(printf 'x%.0s' {1..150})" "$T/w/far"
tar --format=posix -C "$T/w" -cf "$T/w.tar" . || bail "no tarball"
check "each of the allocations fails, once: --tar=f --aufs" each FAILALLOC "$T/img" "$MKFS" --quiet -T1 -Uclear --tar=f --aufs "$T/img" "$T/w.tar"
check "each of the allocations fails, once: rebuild" each FAILALLOC "$T/img" "$MKFS" --quiet -T1 -Uclear --fingerprint "$T/img" "$T/in.img" "$T/in2.img"
check "each of the allocations fails, once: fsck.erofs" each FAILALLOC - "$FSCK" --fingerprint "$T/in.img"
check "each of the allocations fails, once: dump.erofs --fingerprint" each FAILALLOC - "$DUMP" --fingerprint "$T/in.img"
check "each of the allocations fails, once: dump.erofs --sharing" each FAILALLOC - "$DUMP" --sharing "$T/in.img" "$T/in2.img"
for o in --fingerprint "-zlz4 --fingerprint"; do
	check "each of the reads fails, once: $o" each FAILPREAD "$T/img" "$MKFS" --quiet -T1 -Uclear $o "$T/img" "$T/s"
done
check "each of the writes fails, once" each FAILNTH "$T/img" "$MKFS" --quiet -T1 -Uclear -zlz4:lzma:deflate:zstd "$T/img" "$T/s"
check "each of the reads fails, once: rebuild" each FAILPREAD "$T/img" "$MKFS" --quiet -T1 -Uclear --fingerprint "$T/img" "$T/in.img" "$T/in2.img"
check "each of the reads fails, once: fsck.erofs" each FAILPREAD - "$FSCK" --fingerprint "$T/in.img"
extracted() { rm -rf "$T/x" && "$FSCK" "--extract=$T/x" "$T/packed.img" && tar -C "$T/x" --sort=name -cf "$T/img" .; }
mkimg -zlz4 -Eall-fragments "$T/packed.img" "$T/s" || bail "no image with fragments"
export -f extracted
export FSCK T
check "each of the reads fails, once: fsck.erofs --extract, fragments" each FAILPREAD "$T/img" bash -c extracted
check "each of the reads fails, once: dump.erofs --cat, a fragment" each FAILPREAD - "$DUMP" --cat --path=/d/c "$T/packed.img"
check "each of the reads fails, once: dump.erofs --fingerprint" each FAILPREAD - "$DUMP" --fingerprint "$T/in.img"
check "each of the reads fails, once: dump.erofs --sharing" each FAILPREAD - "$DUMP" --sharing "$T/in.img" "$T/in2.img"
done_testing

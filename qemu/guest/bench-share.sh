#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench-share.sh - mount two versions of an image and run the benchmark on them;
# qemu/bench starts it
#
# usage: bench-share.sh OPTIONS
#
#   OPTIONS  mount options ("-" for none)
#
# The first version is blk0, with the list golden.list, the second is blk1, with
# second.list.  Each line that the program bench prints becomes a result; the
# passes over the second version are called "second stat" and "second read".

fail() { echo "$*" >&2; exit 1; }

[ "$1" = - ] && options=ro || options=ro,$1
# Linux 7.3 reads far more ahead on virtio-blk than on memory or files, as on all disks that rotate.
for kib in /sys/block/*/queue/read_ahead_kb; do echo 128 > "$kib"; done
for v in 0 1; do
	mkdir -p /mnt/$v
	mount -t erofs -o "$options" /dev/harness/blk$v /mnt/$v || fail "EROFS cannot be mounted with $options"
done

# How many faults a mapping takes depends on where it lies.
echo 0 > /proc/sys/kernel/randomize_va_space
# A remark on fingerprints means that there is nothing to measure.
! dmesg | grep "no fingerprints" >&2 || exit 1
{
	bench /mnt/0 /root/golden.list stat &&
	bench /mnt/1 /root/second.list stat | sed '1d; s/"pass": "/&second /' &&
	bench /mnt/0 /root/golden.list read | sed 1d &&
	bench /mnt/1 /root/second.list read | sed '1d; s/"pass": "/&second /' &&
	bench /mnt/0 /root/golden.list "read again" mmap "mmap again" "mmap private" | sed 1d
} > /tmp/results || fail "bench failed"
[ "$(grep -c . /tmp/results)" = 9 ] || fail "a pass failed"
while read -r line; do
	guestctl result "$line" || exit 1
done < /tmp/results

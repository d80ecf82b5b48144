#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench.sh - mount one file system and run the benchmark on it; qemu/bench
# starts it
#
# usage: bench.sh FSTYPE OPTIONS DEVICE
#
#   FSTYPE   erofs, ext4, squashfs, or tmpfs: the tree is copied there from an
#            EROFS image on DEVICE, and nothing of that image stays cached
#   OPTIONS  mount options ("-" for none)
#   DEVICE   name of a device below /dev/harness, or "dax" for the DAX device
#
# Each line that the program bench prints becomes a result.

fstype=$1 options=$2 node=/dev/harness/$3 root=/mnt/bench

fail() { echo "$*" >&2; exit 1; }

mkdir -p $root /mnt/source
case $fstype in
tmpfs)
	mount -t erofs -o ro "$node" /mnt/source && mount -t tmpfs -o size=90% tmpfs $root &&
		cp -a /mnt/source/. $root && umount /mnt/source ||
		fail "the tree cannot be copied to tmpfs"
	echo 3 > /proc/sys/vm/drop_caches ;;
*)
	[ "$3" != dax ] || node=$(echo /dev/dax*.0)
	[ "$options" != - ] || options=
	set -- -m "$fstype" "$node" "$options" ;;
esac
[ "$fstype" != tmpfs ] || set --

bench "$@" $root /root/golden.list > /tmp/results || fail "bench failed"
while read -r line; do
	guestctl result "$line" || exit 1
done < /tmp/results

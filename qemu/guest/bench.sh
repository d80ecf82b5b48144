#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench.sh - mount one file system and run the benchmark on it; qemu/bench
# starts it
#
# usage: bench.sh FSTYPE OPTIONS DEVICE [PASS]...
#
#   FSTYPE   erofs, ext4, squashfs, or tmpfs: the tree is copied there from an
#            EROFS image on DEVICE, and nothing of that image stays cached; or file: an
#            EROFS image, which is image.erofs in an EROFS image on DEVICE
#   OPTIONS  mount options ("-" for none)
#   DEVICE   name of a device below /dev/harness
#   PASS     of the program bench; the usual ones if none is named
#
# Each line that the program bench prints becomes a result.

fstype=$1 options=$2 node=/dev/harness/$3 root=/mnt/bench
shift 3

fail() { echo "$*" >&2; exit 1; }

# Linux 7.3 reads far more ahead on virtio-blk than on memory or files, as on all disks that rotate.
for kib in /sys/block/*/queue/read_ahead_kb; do echo 128 > "$kib"; done
mkdir -p $root /mnt/source
case $fstype in
tmpfs)
	mount -t erofs -o ro "$node" /mnt/source && mount -t tmpfs -o size=90% tmpfs $root &&
		cp -a /mnt/source/. $root && umount /mnt/source ||
		fail "the tree cannot be copied to tmpfs"
	echo 3 > /proc/sys/vm/drop_caches ;;
*)
	if [ "$fstype" = file ]; then
		mount -t erofs -o ro "$node" /mnt/source || fail "the image with the image cannot be mounted"
		fstype=erofs node=/mnt/source/image.erofs
	fi
	[ "$options" != - ] || options=
	# word by word, since a pass can have a name of two
	set -- -m "$fstype" "$node" "$options" $root /root/golden.list "$@" ;;
esac
[ "$fstype" != tmpfs ] || set -- $root /root/golden.list "$@"

bench "$@" > /tmp/results || fail "bench failed"
while read -r line; do
	guestctl result "$line" || exit 1
done < /tmp/results

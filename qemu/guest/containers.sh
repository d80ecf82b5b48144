#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# containers.sh - two versions of an image as the roots of two containers;
# qemu/demo starts it
#
# usage: containers.sh OPTIONS
#
#   OPTIONS  mount options of both images
#
# Mounts the images on /dev/harness/blk0 and blk1, and an overlay with a tmpfs for
# changes over each.  Then each container visits all of its files: verify compares
# them with /root/0.list and /root/1.list.  The result is one JSON object: what
# that has added to /proc/meminfo since before the mounts, and what the kernel's
# own counter says is saved (null if it has none).
#
# Exit status: 0, or 1 with one line that says which step failed.

fail() { echo "$*" >&2; exit 1; }
. /root/meminfo.sh

mkdir -p /mnt/rw
mount -t tmpfs tmpfs /mnt/rw || fail "no tmpfs for the containers' changes"
memory_before
for n in 0 1; do
	mkdir -p /mnt/image$n /mnt/root$n /mnt/rw/upper$n /mnt/rw/work$n
	mount -t erofs -o "$1" /dev/harness/blk$n /mnt/image$n ||
		fail "image $n cannot be mounted with $1; dmesg says: $(dmesg | grep erofs | tail -n 1)"
	mount -t overlay -o lowerdir=/mnt/image$n,upperdir=/mnt/rw/upper$n,workdir=/mnt/rw/work$n \
		overlay /mnt/root$n || fail "no overlay can be mounted over image $n"
done
ok=true
for n in 0 1; do
	verify --read /mnt/root$n /root/$n.list > /tmp/verified || ok=false
done
memory_after
saved=$(cat /sys/fs/erofs/inode_share/saved_bytes 2>/dev/null)
case $1 in
*inode_share*) ;;
*) saved= ;;
esac

guestctl result "{
	\"contents_ok\": $ok,
	\"cached_kib\": $cached,
	\"buffers_kib\": $buffers,
	\"slab_kib\": $slab,
	\"kernel_saved_bytes\": ${saved:-null}
}"

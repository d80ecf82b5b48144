#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# pairs.sh - read two images, without sharing page cache and with; qemu/pairs starts it
#
# Mounts /dev/harness/blk0 and blk1 and reads all of their files, twice. The result is one
# JSON object: what that has added to /proc/meminfo, and what the kernel says is saved (null if it
# has no counter).

fail() { echo "$*" >&2; exit 1; }
. /root/meminfo.sh

read_both() # OPTIONS
{
	echo 3 > /proc/sys/vm/drop_caches
	memory_before
	for n in 0 1; do
		mkdir -p /mnt/$n
		mount -t erofs -o "$1" /dev/harness/blk$n /mnt/$n || fail "image $n cannot be mounted with $1"
		find /mnt/$n -type f -exec cat {} + > /dev/null || fail "image $n cannot be read"
	done
	memory_after
	saved=$(cat /sys/fs/erofs/inode_share/saved_bytes 2> /dev/null)
	umount /mnt/0 /mnt/1 || fail "the images cannot be unmounted"
}

read_both ro
private=$((cached + buffers))
read_both ro,inode_share,domain_id=pairs
guestctl result "{ \"private_kib\": $private, \"shared_kib\": $((cached + buffers)), \"kernel_saved_bytes\": ${saved:-null} }"

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# machines.sh - verify one image by each way in that a machine has; qemu/machines starts it
#
# usage: machines.sh
#
# The image is /dev/harness/blk0 and blk1, and ramdax0 where the machine has memory devices.
# It is mounted from disk, from both disks with a shared page cache, and from memory, and
# each time verify compares all files with /root/golden.list.  A result for each way is
# {"way": NAME, "page_size": bytes, "files": those that are right, "wrong": those that are not,
# "cached_kib": growth of the page cache, "saved_bytes": what sharing saved, by the kernel's counter}.
#
# Exit status: 0, or 1 with one line that says which step failed.

fail() { echo "$*; dmesg says: $(dmesg | grep erofs | tail -n 1)" >&2; exit 1; }
. /root/meminfo.sh
page_size=$(($(sed -n 's/^KernelPageSize: *\([0-9]*\) kB/\1/p' /proc/self/smaps | head -n 1) * 1024))
share=inode_share,domain_id=machines

verified() # DIR: adds to $files and $wrong
{
	local json

	json=$(verify "$1" /root/golden.list)
	files=$((files + $(echo "$json" | sed 's/.*"files_verified": \([0-9]*\).*/\1/')))
	wrong=$((wrong + $(echo "$json" | sed 's/.*"files_wrong": \([0-9]*\).*/\1/')))
}

# Nothing of what was mounted before is to count.
begin()
{
	echo 3 > /proc/sys/vm/drop_caches
	mkdir "$@"
	memory_before
}

# What is mounted on /mnt/a, and on /mnt/b if that is there.
measure() # NAME
{
	local dir saved=0

	files=0 wrong=0
	for dir in /mnt/?; do
		verified "$dir"
	done
	memory_after
	[ ! -d /mnt/b ] || saved=$(cat /sys/fs/erofs/inode_share/saved_bytes)
	guestctl result "{\"way\": \"$1\", \"page_size\": $page_size, \"files\": $files, \"wrong\": $wrong,
		\"cached_kib\": $cached, \"saved_bytes\": $saved}" || exit 1
	for dir in /mnt/?; do
		umount "$dir" && rmdir "$dir" || fail "$1: $dir cannot be unmounted"
	done
}

begin /mnt/a
mount -t erofs -o ro /dev/harness/blk0 /mnt/a || fail "the image cannot be mounted from disk"
measure disk

begin /mnt/a /mnt/b
mount -t erofs -o ro,$share /dev/harness/blk0 /mnt/a && mount -t erofs -o ro,$share /dev/harness/blk1 /mnt/b ||
	fail "the image cannot be mounted from disk with $share"
measure inode_share

[ -e /dev/harness/ramdax0 ] || exit 0
begin /mnt/a
sh /harness/mount/ramdax0 /mnt/a || fail "the image cannot be mounted from memory"
measure memory

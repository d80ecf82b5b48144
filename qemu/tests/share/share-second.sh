# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: the second image with the same files costs next to no page cache, and without sharing as much as the first
# series: 4-share
# config: EROFS_FS_PAGE_CACHE_SHARE
# image: base share base
# image: other share base -zlz4
# device: blk:base
# device: blk:other
# file: qemu/guest/meminfo.sh
. /harness/rc
. /root/meminfo.sh

read_all() { find "$1" -type f -exec cat {} + > /dev/null; }

# KiB that the images cost, mounted with these options: $first and $second
costs()
{
	drop
	mount -t erofs -o "$1" /dev/harness/blk0 /mnt/a
	mount -t erofs -o "$1" /dev/harness/blk1 /mnt/b
	memory_before
	read_all /mnt/a
	memory_after
	first=$((cached + buffers))
	memory_before
	read_all /mnt/b
	memory_after
	second=$((cached + buffers))
	umount /mnt/a /mnt/b
	echo "# $1: first image $first KiB, second image $second KiB"
}

mkdir -p /mnt/a /mnt/b
costs ro
check "without sharing the second image costs half of the first or more" [ $second -ge $((first / 2)) ]
costs $shared
check "with sharing a tenth at most" [ $second -le $((first / 10)) ]
check "no complaint of the kernel" kernel_is_content
done_testing

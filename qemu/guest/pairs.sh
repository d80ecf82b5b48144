#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# pairs.sh - read two images, without sharing page cache and with; qemu/pairs starts it
#
# usage: pairs.sh [START0 START1]
#
#   START0, START1  what a shell in the root file system of each image runs, to start its program
#
# Mounts /dev/harness/blk0 and blk1 and reads all of their files, twice; then the program of each is
# started in its image with an upper layer in memory, without sharing and with. The result is one
# JSON object: what that has added to /proc/meminfo (upper layers left out), and what the kernel
# says is saved (null if it has no counter).

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

start_both() # OPTIONS START0 START1
{
	options=$1
	shift
	echo 3 > /proc/sys/vm/drop_caches
	memory_before
	shmem=$(meminfo Shmem)
	for n in 0 1; do
		mkdir -p /mnt/$n /mnt/upper$n /mnt/root$n
		mount -t erofs -o "$options" /dev/harness/blk$n /mnt/$n || fail "image $n cannot be mounted with $options"
		mount -t tmpfs tmpfs /mnt/upper$n && mkdir /mnt/upper$n/up /mnt/upper$n/work &&
			mount -t overlay -o "lowerdir=/mnt/$n,upperdir=/mnt/upper$n/up,workdir=/mnt/upper$n/work" overlay /mnt/root$n ||
			fail "image $n gets no upper layer"
		mkdir -p /mnt/root$n/dev /mnt/root$n/proc /mnt/root$n/run /mnt/root$n/tmp
		mount -t proc proc /mnt/root$n/proc && mount --bind /dev /mnt/root$n/dev || fail "image $n has no /proc or /dev"
		PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot /mnt/root$n /bin/sh -c "$1" || fail "the program of image $n does not start: $1"
		shift
	done
	memory_after
	started=$((cached + buffers - $(meminfo Shmem) + shmem))
	sleep 1
	umount /mnt/root0/proc /mnt/root0/dev /mnt/root0 /mnt/upper0 /mnt/root1/proc /mnt/root1/dev /mnt/root1 /mnt/upper1 \
		/mnt/0 /mnt/1 || fail "the images cannot be unmounted"
}

read_both ro
private=$((cached + buffers))
read_both ro,inode_share,domain_id=pairs
shared=$((cached + buffers))
result="\"private_kib\": $private, \"shared_kib\": $shared, \"kernel_saved_bytes\": ${saved:-null}"
if [ $# = 2 ]; then
	start_both ro "$@"
	result="$result, \"started_private_kib\": $started"
	start_both ro,inode_share,domain_id=pairs "$@"
	result="$result, \"started_shared_kib\": $started"
fi
guestctl result "{ $result }"

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# many.sh - what each further image costs, mounted from a file; qemu/many starts it
#
# usage: many.sh COUNT
#
# The image on /dev/harness/blk0 holds base.erofs, and image-N.erofs and layer-N.erofs for each
# N below COUNT.  In each of four ways it mounts COUNT of them and reads all of their files.  The
# results are {"way": NAME, "first_kib": page cache of the first image, "all_kib": of all images,
# "slab_kib": slab of all}.

fail() { echo "$*; dmesg says: $(dmesg | grep erofs | tail -n 1)" >&2; exit 1; }
. /root/meminfo.sh
count=$1
share=inode_share,domain_id=many

image() { /root/mount-file /box/image-$1.erofs /mnt/$1 "$2"; }

# The layer that all have in common is mounted once.
stack()
{
	[ -d /base/usr ] || /root/mount-file /box/base.erofs /base "$2" || return 1
	mkdir -p /layer/$1
	/root/mount-file /box/layer-$1.erofs /layer/$1 "$2" && mount -t overlay -o lowerdir=/layer/$1:/base overlay /mnt/$1
}

measure() # NAME image|stack OPTIONS
{
	local n=0 first

	echo 3 > /proc/sys/vm/drop_caches
	memory_before
	while [ $n -lt $count ]; do
		mkdir -p /mnt/$n
		$2 $n "$3" || fail "$1: image $n cannot be mounted with '$3'"
		find /mnt/$n -type f -exec cat {} + > /dev/null || fail "$1: image $n cannot be read"
		[ $n != 0 ] || first=$(memory_after; echo $((cached + buffers)))
		n=$((n + 1))
	done
	memory_after
	guestctl result "{ \"way\": \"$1\", \"first_kib\": $first, \"all_kib\": $((cached + buffers)), \"slab_kib\": $slab }"
	grep -E '^[^ ]* /(mnt|layer|base)' /proc/mounts | cut -d' ' -f2 | sort -r | while read -r dir; do
		umount "$dir" || fail "$1: $dir cannot be unmounted"
	done || exit 1
}

mkdir -p /box /base
mount -t erofs -o ro /dev/harness/blk0 /box || fail "the images cannot be mounted"
measure "one image a mount, directio" image directio
measure "a stack of two layers, directio" stack directio
measure "inode_share" image $share
measure "inode_share, directio" image $share,directio

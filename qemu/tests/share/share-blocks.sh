# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: files of images with blocks of any size share page cache, or not, and have their bytes
# config: EROFS_FS_PAGE_CACHE_SHARE
# image: k1 share base -b1024
# image: plain1 share base -b1024 -Enoinline_data
# image: k4 share base
# image: half share next -b512
# device: blk:k1
# device: blk:plain1
# device: blk:k4
# device: blk:half
#
# Without "erofs: give shared inodes the block size of their image" on Linux 7.3,
# those of small blocks have wrong bytes, and a warning.
. /harness/ktap.sh

content() { (cd "$1" && sha256sum -c SHA256SUMS); }
drop() { echo 3 > /proc/sys/vm/drop_caches; }

for n in 0 1 2 3; do
	mkdir -p /mnt/$n
	check "mount image $n" mount -t erofs -o ro,inode_share,domain_id=d /dev/harness/blk$n /mnt/$n
done
for n in 0 1 2 3; do
	check "image $n: content" content /mnt/$n
done
# each of them reads what none of the others has cached
for n in 3 2 1 0; do
	drop
	check "image $n: content, read anew" content /mnt/$n
done
for n in 0 1 2 3; do umount /mnt/$n; done
# one of them alone
for n in 3 2 1 0; do
	mount -t erofs -o ro,inode_share,domain_id=d /dev/harness/blk$n /mnt/$n
	check "image $n alone: content" content /mnt/$n
	umount /mnt/$n
done
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: a file whose fingerprint is malformed can be opened, and shares nothing
# series: 4-share
# config: EROFS_FS_PAGE_CACHE_SHARE
# image: wrong share-forge malformed
# image: again share-forge malformed
# device: blk:wrong
# device: blk:again
. /harness/ktap.sh

mkdir -p /mnt/plain /mnt/a /mnt/b
device=$(readlink -f /dev/harness/blk0)
sys=/sys/fs/erofs/${device##*/}/inode_share

# counted NAME NUMBER
counted() { n=$(cat "$sys/$1"); [ "$n" = "$2" ] || { echo "got $n, want $2"; return 1; }; }

check "mount without sharing" mount -t erofs -o ro /dev/harness/blk0 /mnt/plain
check "content" sh -c "cd /mnt/plain && sha256sum -c SHA256SUMS"
names=$(cd /mnt/plain && ls | grep -v SHA256SUMS)
umount /mnt/plain

check "mount it with sharing" mount -t erofs -o ro,inode_share,domain_id=d /dev/harness/blk0 /mnt/a
check "mount a second disk with it" mount -t erofs -o ro,inode_share,domain_id=d /dev/harness/blk1 /mnt/b
for name in $names; do
	check "$name: opens and reads its own bytes" sh -c "cd /mnt/a && grep ' ./$name\$' SHA256SUMS | sha256sum -c"
	check "$name: in the second one, too" sh -c "cd /mnt/b && grep ' ./$name\$' SHA256SUMS | sha256sum -c"
done
# SHA256SUMS and "good" have good ones
check "good ones are attached" counted attached 2
check "and no others" counted refused 9
check "what is malformed is not shared" counted saved_bytes 0
check "content again" sh -c "cd /mnt/b && sha256sum -c SHA256SUMS"
check "unmount" umount /mnt/a
check "content of the second one" sh -c "cd /mnt/b && sha256sum -c SHA256SUMS"
check "unmount the second one" umount /mnt/b
check "no complaint of the kernel" sh -c "! dmesg | grep -E 'Busy inodes|BUG|WARN'"
done_testing

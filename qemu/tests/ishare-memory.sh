# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: images in memory share page cache, for what they do not serve by DAX
# config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_RAMDAX DEV_DAX_RAMDAX DEV_DAX_FSDEV VIRTIO_PMEM FS_DAX
# image: base share base
# image: zstd share base -zzstd -C65536
# image: next share next -zlz4hc,9
# device: carveout:base,as=none
# device: carveout:zstd,as=none
# device: pmem:base
# device: blk:next
# append: ramdax=plain:{carveout0.size}@{carveout0.address},zstd:{carveout1.size}@{carveout1.address}
. /harness/ktap.sh

content() { (cd "/mnt/$1" && sha256sum -c SHA256SUMS); }
stat_of() { cat /sys/fs/erofs/inode_share/$1; }
drop() { echo 3 > /proc/sys/vm/drop_caches; }
o=ro,inode_share,domain_id=d

mkdir -p /mnt/plain /mnt/zstd /mnt/pmem /mnt/blk
set -- $(ls -d /sys/bus/dax/drivers/fsdev_dax/dax*)
check "mount a DAX device" mount -t erofs -o $o /dev/${1##*/} /mnt/plain
check "content" content plain
check "mount a DAX device with a compressed image" mount -t erofs -o $o /dev/${2##*/} /mnt/zstd
check "content of it" content zstd
check "mount a disk" mount -t erofs -o $o /dev/harness/blk0 /mnt/blk
check "files are shared between memory and disk" [ "$(stat_of attached)" -gt 10 ]
drop
check "content of the disk, from memory" content blk
check "content of the compressed image, as the disk has it" content zstd
check "bytes are saved" [ "$(stat_of saved_bytes)" -gt 3000000 ]
check "unmount the compressed image" umount /mnt/zstd
drop
check "content of the disk" content blk
check "mount a pmem device by DAX" mount -t erofs -o $o,dax=always /dev/harness/pmem0 /mnt/pmem
check "content of it" content pmem
umount /mnt/blk
umount /mnt/plain
drop
check "content of it alone" content pmem
umount /mnt/pmem
check "no complaint of the kernel" sh -c "! dmesg | grep -E 'Busy inodes|BUG|WARN'"
done_testing

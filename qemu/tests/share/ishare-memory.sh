# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: images in memory share page cache, for what they do not serve by DAX
# series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
# config: EROFS_FS_PAGE_CACHE_SHARE
# image: base share base
# image: zstd share base -zzstd -C65536
# image: next share next -zlz4hc,9
# device: ramdax:base
# device: ramdax:zstd
# device: pmem:base
# device: blk:next
. /harness/rc

mkdir -p /mnt/plain /mnt/zstd /mnt/pmem /mnt/blk
check "mount a DAX device" mount -t erofs -o $shared /dev/harness/ramdax0 /mnt/plain
check "content" content /mnt/plain
check "mount a DAX device with a compressed image" mount -t erofs -o $shared /dev/harness/ramdax1 /mnt/zstd
check "content of it" content /mnt/zstd
check "mount a disk" mount -t erofs -o $shared /dev/harness/blk0 /mnt/blk
check "files are shared between memory and disk" [ "$(counter attached)" -gt 10 ]
drop
# Who is older reads first: what the disk alone has read is not for older mounts.
check "content of the compressed image" content /mnt/zstd
check "content of the disk, from memory" content /mnt/blk
check "bytes are saved" [ "$(counter saved_bytes)" -gt 3000000 ]
check "unmount the compressed image" umount /mnt/zstd
drop
check "content of the disk" content /mnt/blk
check "mount a pmem device by DAX" mount -t erofs -o $shared,dax=always /dev/harness/pmem0 /mnt/pmem
check "content of it" content /mnt/pmem
umount /mnt/blk
umount /mnt/plain
drop
check "content of it alone" content /mnt/pmem
umount /mnt/pmem
check "no complaint of the kernel" kernel_is_content
done_testing

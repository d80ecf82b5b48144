# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: an image whose data is on a further device can be mounted from memory, and wrong devices are refused
# image: blob share blob
# device: ramdax:blob
# device: ramdax:blob.blob
# device: ramdax:blob
# device: pmem:blob
# device: pmem:blob.blob
. /harness/rc

meta=$(realpath /dev/harness/ramdax0) data=$(realpath /dev/harness/ramdax1) spare=$(realpath /dev/harness/ramdax2)
disk=/dev/harness/pmem0 more=/dev/harness/pmem1

before=$(cached)
check "mount DAX devices" mount -t erofs -o device=$data $meta /mnt
check "content" content /mnt
fails "the further device is in use" 'busy' try_mount -t erofs $data /tmp
umount /mnt
check "it is free after the unmount" mount -t erofs -o device=$data $meta /mnt
umount /mnt
check "mount block devices" mount -t erofs -o dax=always,device=$more $disk /mnt
check "content" content /mnt
check "no page cache is left, $(($(cached) - before)) KiB" test $(($(cached) - before)) -le 16
umount /mnt

fails "too many devices" 'nvalid argument' try_mount -t erofs -o device=$data,device=$data $meta /mnt
check "and it is said how many there are to be" said "extra devices don't match .ondisk 1, given 2."
fails "the same device twice" 'busy' try_mount -t erofs -o device=$meta $meta /mnt
check "and it is said that it is in use" said 'in use, by this mount or another; DAX devices are not shared'
check "mount it" mount -t erofs -o device=$data $meta /mnt
fails "the further device of another mount" 'busy' try_mount -t erofs -o device=$data $spare /tmp
umount /mnt
echo "${data##*/}" > $drivers/fsdev_dax/unbind
fails "a further device without a driver" 'o such device' try_mount -t erofs -o device=$data $meta /mnt
check "and it is said which one it needs" said "$data: not in fsdev mode, bind it to /sys/bus/dax/drivers/fsdev_dax"
echo "${data##*/}" > $drivers/fsdev_dax/bind
fails "a block device for a mount of a DAX device" 'nvalid argument' try_mount -t erofs -o device=$more $meta /mnt
check "and it is said that it is none" said 'not a DAX device that can be read'
fails "no such node" 'o such file' try_mount -t erofs -o device=/dev/none $meta /mnt
check "nothing is left of those" mount -t erofs -o device=$data $meta /mnt
check "content" content /mnt
umount /mnt
done_testing

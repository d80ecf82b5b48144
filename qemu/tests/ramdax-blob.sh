# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: an image whose data is on a further device can be mounted from memory, and wrong devices are refused
# config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_RAMDAX VIRTIO_PMEM FS_DAX
# image: blob share blob
# device: carveout:blob,as=none
# device: carveout:blob.blob,as=none
# device: carveout:blob,as=none
# device: pmem:blob
# device: pmem:blob.blob
# append: ramdax=spare:{carveout2.size}@{carveout2.address},meta:{carveout0.size}@{carveout0.address},data:{carveout1.size}@{carveout1.address}
. /harness/ktap.sh

dax_of()
{
	local d

	for d in /sys/devices/platform/ramdax.*; do
		[ "$(cat "$d/name" 2>/dev/null)" != "$1" ] || (cd "$d" && echo dax*.*)
	done
}
drivers=/sys/bus/dax/drivers
meta=/dev/$(dax_of meta) spare=/dev/$(dax_of spare) data=/dev/$(dax_of data) disk=/dev/harness/pmem0 more=/dev/harness/pmem1
content() { sh -c "cd $1 && sha256sum -c SHA256SUMS"; }
cached() { awk '/^(Buffers|Cached):/ { n += $2 } END { print n }' /proc/meminfo; }
# busybox gives 255 for what others give 1 for
try_mount() { mount -t erofs "$@" || return 1; }
said() { dmesg | grep -qE -e "$1"; }

before=$(cached)
check "mount DAX devices" mount -t erofs -o device=$data $meta /mnt
check "content" content /mnt
fails "the further device is in use" 'busy' try_mount $data /tmp
umount /mnt
check "it is free after the unmount" mount -t erofs -o device=$data $meta /mnt
umount /mnt
check "mount block devices" mount -t erofs -o dax=always,device=$more $disk /mnt
check "content" content /mnt
check "no page cache is left, $(($(cached) - before)) KiB" test $(($(cached) - before)) -le 16
umount /mnt

fails "too many devices" 'nvalid argument' try_mount -o device=$data,device=$data $meta /mnt
check "and it is said how many there are to be" said "extra devices don't match .ondisk 1, given 2."
fails "the same device twice" 'busy' try_mount -o device=$meta $meta /mnt
check "and it is said that it is in use" said 'in use, by this mount or another; DAX devices are not shared'
check "mount it" mount -t erofs -o device=$data $meta /mnt
fails "the further device of another mount" 'busy' try_mount -o device=$data $spare /tmp
umount /mnt
echo "${data##*/}" > $drivers/fsdev_dax/unbind
fails "a further device without a driver" 'o such device' try_mount -o device=$data $meta /mnt
check "and it is said which one it needs" said "$data: not in fsdev mode, bind it to /sys/bus/dax/drivers/fsdev_dax"
echo "${data##*/}" > $drivers/fsdev_dax/bind
fails "a block device for a mount of a DAX device" 'nvalid argument' try_mount -o device=$more $meta /mnt
check "and it is said that it is none" said 'not a DAX device that can be read'
fails "no such node" 'o such file' try_mount -o device=/dev/none $meta /mnt
check "nothing is left of those" mount -t erofs -o device=$data $meta /mnt
check "content" content /mnt
umount /mnt
done_testing

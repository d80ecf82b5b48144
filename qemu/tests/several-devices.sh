# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: what is on one of several devices, or in one of several files, is not read from another
# config: EROFS_FS VIRTIO_PMEM FS_DAX EROFS_FS_BACKED_BY_FILE
# image: devices crafted devices
# image: box crafted box
# device: blk:devices
# device: blk:devices.one
# device: blk:devices.two
# device: blk:box
# device: pmem:devices
# device: pmem:devices.one
# device: pmem:devices.two
#
# The blocks of each file follow each other by their numbers, on devices that
# change.  Readahead sees all of them: without "iomap: do not read from one device
# what is on another" /chunks and /mapped have blocks of the wrong disk, without
# "erofs: do not read from one file what is in another" /mapped and /clusters have
# blocks of the wrong file.
. /harness/ktap.sh

same()
{
	local file

	for file in chunks mapped clusters; do
		check "$1: /$file has the blocks that it should have" cmp /mnt/$file /mnt/$file.want
	done
}

disks=/dev/harness/blk
check "mount three disks" mount -t erofs -o device=${disks}1,device=${disks}2 ${disks}0 /mnt
same disks
umount /mnt

pmem=/dev/harness/pmem
check "mount three DAX devices" mount -t erofs -o dax=always,device=${pmem}1,device=${pmem}2 ${pmem}0 /mnt
same DAX
umount /mnt

if grep -q lockdep /proc/kallsyms; then
	skip "three files" "lockdep takes a file on EROFS and the image that it is in for one"
else
	mkdir -p /box
	check "mount the image that holds three files" mount -t erofs ${disks}3 /box
	check "mount these" mount -t erofs -o device=/box/one,device=/box/two /box/image /mnt
	same files
	umount /mnt /box
fi
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: what is on one of several devices is not read from another
# config: EROFS_FS FS_DAX
# image: devices crafted devices
# device: blk:devices
# device: blk:devices.one
# device: blk:devices.two
# device: pmem:devices
# device: pmem:devices.one
# device: pmem:devices.two
#
# The blocks of each file follow each other by their numbers, on devices that
# change.  Readahead sees all of them: without "iomap: do not read from one device
# what is on another" /chunks and /mapped have blocks of the wrong disk.
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

done_testing

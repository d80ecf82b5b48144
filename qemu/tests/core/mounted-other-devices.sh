# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: what is mounted already is not mounted again, or remounted, with other devices
# series: 1-fixes
# config: EROFS_FS FS_DAX
# image: devices crafted devices
# image: tree tree
# device: blk:devices
# device: blk:devices.one
# device: blk:devices.two
# device: pmem:devices
# device: pmem:devices.one
# device: pmem:devices.two
# device: blk:tree
#
# Without "erofs: refuse a second mount with other devices" each of these mounts and
# remounts succeeds, and shows what is on the devices that were mounted first.
. /harness/ktap.sh

mkdir /again
one_after_another() # WHAT DISK OPTIONS
{
	local what=$1 disk=$2 more=$3 good=device=${2}1,device=${2}2 busy="Device or resource busy"

	check "$what: mount three" mount -t erofs -o ro,$more$good ${disk}0 /mnt
	check "$what: the same three again" mount -t erofs -o ro,$more$good ${disk}0 /again
	umount /again
	check "$what: and if only the first is named" mount -t erofs -o "ro${more:+,${more%,}}" ${disk}0 /again
	umount /again
	fails "$what: in another order" "$busy" mount -t erofs -o ro,${more}device=${disk}2,device=${disk}1 ${disk}0 /again
	check "$what: the kernel says why" said "already mounted with other devices, unmount it first"
	fails "$what: one of them" "$busy" mount -t erofs -o ro,${more}device=${disk}1 ${disk}0 /again
	fails "$what: one more" "$busy" mount -t erofs -o ro,$more$good,device=${disk}1 ${disk}0 /again
	fails "$what: a remount with another one" "Invalid argument" \
		mount -o remount,ro,${more}device=${disk}1,device=${disk}1 /mnt
	check "$what: a remount with the same" mount -o remount,ro,$more$good /mnt
	check "$what: a remount that names none" mount -o remount,ro /mnt
	check "$what: the blocks of the mount are right" cmp /mnt/chunks /mnt/chunks.want
	check "$what: unmount" umount /mnt
	check "$what: now in another order" mount -t erofs -o ro,${more}device=${disk}2,device=${disk}1 ${disk}0 /mnt
	umount /mnt
}
one_after_another disks /dev/harness/blk ""
one_after_another DAX /dev/harness/pmem dax=always,

check "mount an image that has no further devices" mount -t erofs -o ro /dev/harness/blk3 /mnt
fails "again, with one" "Device or resource busy" mount -t erofs -o ro,device=/dev/harness/blk1 /dev/harness/blk3 /again
check "it is as it was" content /mnt
umount /mnt
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: of two images on one device the one that is asked for is mounted, or none
# series: 1-fixes/????-erofs-refuse-a-second-mount-with-other-devices-or-an.patch
# config: EROFS_FS BLK_DEV_LOOP
# image: base share base
# image: forged share forged
# device: blk:base
# device: blk:forged
#
# Only bases that have fsoffset= have that patch.  Without it the second mount succeeds,
# and shows the first image.
. /harness/ktap.sh

mkdir /again
offset=$(blockdev --getsize64 /dev/harness/blk0)
cat /dev/harness/blk0 /dev/harness/blk1 > /two
loop=$(losetup -f)
losetup -r "$loop" /two
there() { content "$1" && cmp "$1/f.300001" /f.want; } # is it the image of which /f.want is a file?

at() # FIRST SECOND DISK: offsets in bytes, and a disk that has the image of FIRST
{
	local first=fsoffset=$1 second=fsoffset=$2

	check "mount $3" mount -t erofs -o ro "$3" /mnt
	cp /mnt/f.300001 /f.want
	umount /mnt
	check "$first" mount -t erofs -o ro,$first "$loop" /mnt
	check "$first: it is the right one" there /mnt
	fails "$second, while that is mounted" "Device or resource busy" mount -t erofs -o ro,$second "$loop" /again
	check "the kernel says why" said "already mounted at another fsoffset, unmount it first"
	fails "a remount to $second" "Invalid argument" mount -o remount,ro,$second /mnt
	check "a remount to $first" mount -o remount,ro,$first /mnt
	check "a remount that says nothing" mount -o remount,ro /mnt
	check "$first, again" mount -t erofs -o ro,$first "$loop" /again
	check "$first, again: it is the right one" there /again
	umount /again
	umount /mnt
	check "$second, when it has been unmounted" mount -t erofs -o ro,$second "$loop" /again
	fails "$second: it is the other one" differ there /again
	umount /again
}
at 0 "$offset" /dev/harness/blk0
at "$offset" 0 /dev/harness/blk1
losetup -d "$loop"
done_testing

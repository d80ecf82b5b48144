# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: DAX that was asked for is had or refused with a reason, by mount, remount, device= and a second mount
# image: tree tree
# image: small tree -b1024 -Enoinline_data
# image: blob share blob
# device: pmem:tree
# device: pmem:small
# device: pmem:blob
# device: blk:tree
# device: blk:blob.blob
# device: ramdax:small
. /harness/rc

tree=/dev/harness/pmem0 small=/dev/harness/pmem1 blob=/dev/harness/pmem2 disk=/dev/harness/blk0 data=/dev/harness/blk1

fails "a block device without DAX" 'not supported' try_mount -t erofs -o dax=always $disk /mnt
check "and it is said what to do" said 'no DAX, mount it without dax=always'
fails "a further device without DAX" 'not supported' try_mount -t erofs -o dax=always,device=$data $blob /mnt
check "and it is said what to do" said 'no DAX, mount without dax=always'
check "without DAX both work" mount -t erofs -o device=$data $blob /mnt
check "content" content /mnt
umount /mnt

check "mount a block device without DAX" mount -t erofs $disk /mnt
fails "a remount does not turn it on" 'nvalid argument' try_mount -o remount,ro,dax=always /mnt
check "and it is said why" said 'DAX cannot be turned on by a remount'
check "its files can be read all the same" content /mnt
check "another remount" mount -o remount,ro,noacl /mnt
umount /mnt

check "mount small blocks without DAX" mount -t erofs $small /mnt
fails "a remount does not turn it on" 'nvalid argument' try_mount -o remount,ro,dax=always /mnt
check "content" content /mnt
mkdir /tmp/second
fails "nor does a second mount" 'busy' try_mount -t erofs -o ro,dax=always $small /tmp/second
check "and it is said why" said 'already mounted without DAX'
umount /mnt

check "mount with DAX" mount -t erofs -o dax=always $tree /mnt
fails "a remount does not turn it off" 'nvalid argument' try_mount -o remount,ro,dax=never /mnt
check "a remount that says nothing of it keeps it" sh -c 'mount -o remount,ro,noacl /mnt && grep " /mnt " /proc/mounts | grep -q dax=always'
fails "a second mount without it" 'busy' try_mount -t erofs -o ro,dax=never $tree /tmp/second
check "content" content /mnt
umount /mnt

# Blocks that are smaller than a page: what DAX cannot map goes through the page cache.
for device in "-o dax=always $small" /dev/harness/ramdax0; do
	check "small blocks from memory: mount $device" mount -t erofs $device /mnt
	check "content by read" content /mnt
	check "a program runs from it" /mnt/bin/busybox true
	umount /mnt
done
done_testing

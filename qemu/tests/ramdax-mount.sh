# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: a DAX device with an image can be mounted, by one file system at a time, and wrong use says why
# config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_RAMDAX
# image: tree tree
# image: small-blocks tree -b1024
# device: carveout:tree,as=none
# device: carveout:small-blocks,as=none
# device: carveout:tree,as=none
# device: carveout:tree,as=none
# append: ramdax=other:{carveout3.size}@{carveout3.address},golden:{carveout0.size}@{carveout0.address},small:{carveout1.size}@{carveout1.address},short:2M@{carveout2.address},same:2M@{carveout2.address},ram:2M@16M,odd:1M@{carveout2.address},nonsense
. /harness/ktap.sh

drivers=/sys/bus/dax/drivers

# the device of the range that the kernel parameter calls $1
dax_of()
{
	local d

	for d in /sys/devices/platform/ramdax.*; do
		[ "$(cat "$d/name" 2>/dev/null)" != "$1" ] || (cd "$d" && echo dax*.*)
	done
}
golden=$(dax_of golden)
other=$(dax_of other)
small=$(dax_of small)
short=$(dax_of short)
links() { (cd "$1" && find . -type l | sort | while read -r l; do echo "$l $(readlink "$l")"; done) | cmp - "$1/LINKS"; }
cached() { awk '/^(Buffers|Cached):/ { n += $2 } END { print n }' /proc/meminfo; }
# busybox gives 255 for what others give 1 for
try_mount() { mount "$@" || return 1; }
said() { dmesg | grep -qE -e "$1"; }

check "a range is a device, ready to be mounted" test -c "/dev/$golden" -a -e $drivers/fsdev_dax/$golden
check "System RAM is no carve-out" said 'ramdax .*overlaps System RAM'
check "one range cannot be two devices" said 'ramdax .*same: .* overlaps short, which is there already'
check "a range must be aligned" said 'ramdax: odd: .* must be multiples of 2 MiB'
check "a range must be spelled right" said "ramdax: 'nonsense' is not NAME:SIZE@ADDRESS"

before=$(cached)
check "mount" mount -t erofs /dev/$golden /mnt
check "content" sh -c 'cd /mnt && sha256sum -c SHA256SUMS'
check "symbolic links" links /mnt
after=$(cached)
check "no page cache is left, $((after - before)) KiB" test $((after - before)) -le 16

mkdir /tmp/second
check "a second mount" mount -t erofs /dev/$golden /tmp/second
check "is the same file system" test "$(stat -c %d /mnt)" = "$(stat -c %d /tmp/second)"
umount /tmp/second

mkdir /tmp/a /tmp/b
mknod /tmp/a/image c $((0x$(stat -c %t /dev/$golden))) $((0x$(stat -c %T /dev/$golden)))
mknod /tmp/b/image c $((0x$(stat -c %t /dev/$other))) $((0x$(stat -c %T /dev/$other)))
check "sysfs has a mount by the name of its device" test -d /sys/fs/erofs/$golden/dax
umount /mnt
check "whatever the node is called" mount -t erofs /tmp/a/image /mnt
check "of which others can have the name" mount -t erofs /tmp/b/image /tmp/second
check "both are there" test -d /sys/fs/erofs/$golden/dax -a -d /sys/fs/erofs/$other/dax -a ! -e /sys/fs/erofs/image
umount /tmp/second
check "and the first one stays" sh -c 'cd /mnt && sha256sum -c SHA256SUMS'

fails "unbind is refused while mounted" 'busy' sh -c "echo $golden > $drivers/fsdev_dax/unbind"
fails "dax=never is refused, by remount too" 'nvalid argument' try_mount -o remount,ro,dax=never /mnt
umount /mnt
fails "dax=never is refused" 'nvalid argument' try_mount -t erofs -o dax=never /dev/$golden /mnt
check "and says so" said 'dax=never cannot be had on a DAX device'
fails "small blocks are refused" 'nvalid argument' try_mount -t erofs /dev/$small /mnt
check "and it is said what would do" said 'block size 1024, DAX needs 4096: mkfs.erofs -b4096'
fails "a device that is too small is refused" 'nvalid argument' try_mount -t erofs /dev/$short /mnt
check "and it is said how small" said 'the image has [0-9]+ bytes, the device only 2097152'
fails "no DAX device" 'lock device' try_mount -t erofs /dev/null /mnt
mknod /tmp/nodev-$golden c $((0x$(stat -c %t /dev/$golden))) $((0x$(stat -c %T /dev/$golden)))
mount -o remount,nodev /tmp
fails "a node on a nodev mount does not count" 'ermission denied' try_mount -t erofs /tmp/nodev-$golden /mnt
mount -o remount,dev /tmp

check "unbind" sh -c "echo $golden > $drivers/fsdev_dax/unbind"
fails "without a driver there is no mount" 'o such device' try_mount -t erofs /dev/$golden /mnt
check "and it is said which one it needs" said 'not in fsdev mode, bind it to /sys/bus/dax/drivers/fsdev_dax'
echo $golden > $drivers/device_dax/new_id 2>/dev/null
check "no other driver gets read-only memory" test ! -e $drivers/device_dax/$golden
echo $golden > $drivers/device_dax/remove_id
check "bind again" sh -c "echo $golden > $drivers/fsdev_dax/bind"
check "and mount again" mount -t erofs /dev/$golden /mnt
check "with all of its content" sh -c 'cd /mnt && sha256sum -c SHA256SUMS'
umount /mnt
done_testing

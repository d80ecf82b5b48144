# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: a DAX device with an image can be mounted, by one file system at a time, and wrong use says why
# image: tree tree
# image: small-blocks tree -b1024
# device: ramdax:tree
# device: ramdax:tree
# device: ramdax:small-blocks
# device: ramdax:tree,size=2M
# range: same:2M@{ramdax3.address}
# range: ram:2M@{ram.address}
# range: odd:1M@{ramdax3.address}
# range: nonsense
. /harness/rc

other=$(device ramdax0)
golden=$(device ramdax1)
small=$(device ramdax2)
short=$(device ramdax3)

check "a range is a device, ready to be mounted" test -c "/dev/$golden" -a -e $drivers/fsdev_dax/$golden
check "System RAM is no carve-out" said "$CARVEOUT_DRIVER .*ram: .* overlaps (System RAM|/memory@)"
check "one range cannot be two devices" said "$CARVEOUT_DRIVER .*same: .* overlaps what is in use already"
check "a range must be aligned" said "$CARVEOUT_DRIVER .*odd: .* must be multiples of 2048 KiB"
check "a range must be spelled right" said "$CARVEOUT_DRIVER: 'nonsense' is not NAME:SIZE@ADDRESS"

before=$(cached)
check "mount" mount -t erofs /dev/$golden /mnt
check "content" content /mnt
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
check "and the first one stays" content /mnt

fails "unbind is refused while mounted" 'busy' sh -c "echo $golden > $drivers/fsdev_dax/unbind"
fails "dax=never is refused, by remount too" 'nvalid argument' try_mount -o remount,ro,dax=never /mnt
umount /mnt
fails "dax=never is refused" 'nvalid argument' try_mount -t erofs -o dax=never /dev/$golden /mnt
check "and says so" said 'dax=never cannot be had on a DAX device'
check "small blocks can be mounted" mount -t erofs /dev/$small /mnt
check "content" content /mnt
umount /mnt
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
check "with all of its content" content /mnt
umount /mnt
done_testing

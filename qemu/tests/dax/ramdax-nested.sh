# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: an image in a file of an image that is in memory can be mounted
# config: EROFS_FS_BACKED_BY_FILE
# image: nested nested
# device: pmem:nested
# device: ramdax:nested
# flavours: fast
. /harness/rc

mkdir /tmp/inner
for device in "-o dax=always /dev/harness/pmem0" /dev/harness/ramdax0; do
	check "mount $device" mount -t erofs $device /mnt
	check "mount the image in it" mount -t erofs -o ro /mnt/image /tmp/inner
	check "without a loop device" sh -c 'grep " /tmp/inner " /proc/mounts | grep -qv loop'
	check "content" test "$(md5sum < /tmp/inner/numbers)" = "$(seq 1 5000 | md5sum)"
	umount /tmp/inner
	umount /mnt
done
done_testing

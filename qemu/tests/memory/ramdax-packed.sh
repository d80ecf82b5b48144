# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: metadata that claims to go on behind its inode and the device is not read there
# config: EROFS_FS_RAMDAX FS_DAX EROFS_FS_XATTR
# image: end packed-end
# device: pmem:end
. /harness/ktap.sh

# busybox gives 255 for what others give 1 for
try_mount() { mount "$@" || return 1; }
for options in dax=always dax=never; do
	fails "$options: a table behind the end of its inode" 'nput/output error|tructure needs cleaning' \
		try_mount -t erofs -o $options /dev/harness/pmem0 /mnt
done
done_testing

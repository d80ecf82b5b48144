# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: a further DAX device that has less room than its part of the image is refused, as the first one is
# series: 3-memory
# config: EROFS_FS_RAMDAX
# image: blob share blob
# device: ramdax:blob
# device: ramdax:blob.blob,size=2M
# device: ramdax:blob.blob
. /harness/rc

meta=$(realpath /dev/harness/ramdax0) small=$(realpath /dev/harness/ramdax1) data=$(realpath /dev/harness/ramdax2)
fails "a further device that is too small" 'nvalid argument' try_mount -t erofs -o device=$small $meta /mnt
check "and it is said how many bytes there are to be" said "$small: its part of the image has [0-9]* bytes, the device only 2097152"
check "mount the one that is large enough" mount -t erofs -o device=$data $meta /mnt
check "content" content /mnt
umount /mnt
done_testing

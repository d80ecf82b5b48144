# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: a compressed file can be read whose DEFLATE stream ends in a page by itself
# series: 1-fixes/????-erofs-let-a-DEFLATE-stream-end-in-a-page-of-its-own.patch
# config: EROFS_FS_ZIP_DEFLATE
# image: end deflate-end
# device: blk:end
. /harness/ktap.sh

check "mount the image" mount -t erofs -o ro /dev/harness/blk0 /mnt
cd /mnt || exit
check "its file has the right bytes" sha256sum -c sum
cd / || exit
check "unmount" umount /mnt
done_testing

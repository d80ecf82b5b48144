# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: an image whose blocks are larger than pages is refused with words that say what would do
# config: EROFS_FS PAGE_SIZE_4KB
# image: large tree -b65536
# device: blk:large
. /harness/ktap.sh

fails "it is refused" "nvalid argument" mount -t erofs -o ro /dev/harness/blk0 /mnt
check "the log names a block size that works" said "blocks of 65536 bytes do not fit into pages of 4096 bytes, .*-b4096"
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: the kselftest of page cache sharing
# series: 4-share
# config: EROFS_FS_PAGE_CACHE_SHARE
# kselftest: filesystems/erofs/ishare
# image: a kselftest
# image: b kselftest -zlz4hc,9 -b1024
# device: blk:a
# device: blk:b
exec env EROFS_IMAGE_A=/dev/harness/blk0 EROFS_IMAGE_B=/dev/harness/blk1 /root/ishare

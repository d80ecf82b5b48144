# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: the kselftest of EROFS on a DAX device
# kselftest: filesystems/erofs/ramdax
# image: golden kselftest --dax
# device: ramdax:golden
exec env EROFS_DAX_DEVICE="$(realpath /dev/harness/ramdax0)" /root/ramdax

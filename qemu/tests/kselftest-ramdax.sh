# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: the kselftest of EROFS on a DAX device
# config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_RAMDAX
# kselftest: filesystems/erofs/ramdax
# image: golden kselftest --dax
# device: carveout:golden,as=none
# append: ramdax=golden:{carveout0.size}@{carveout0.address}
exec env EROFS_DAX_DEVICE="$(echo /dev/dax*.0)" /root/ramdax

# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: ranges of a second dax_carveout= are added to those of the first
# config: EROFS_FS_RAMDAX DEV_DAX_CARVEOUT
# image: tree tree
# device: reserved:tree
# device: reserved:tree
# append: dax_carveout=a:{reserved0.size}@{reserved0.address} dax_carveout=b:{reserved1.size}@{reserved1.address}
. /harness/ktap.sh

check "both are there" sh -c 'cat /sys/devices/platform/dax_carveout.*/name | tr "\n" " " | grep "^a b $"'
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A root file system that is an EROFS image in memory, for dracut.

check() {
	return 0
}

depends() {
	echo rootfs-block
}

# Those that the kernel has: fsdev_dax and dax_carveout come with the series alone.
installkernel() {
	hostonly='' instmods erofs overlay virtio_pmem nd_pmem nd_e820 nfit fsdev_dax dax_carveout
}

install() {
	inst /usr/lib/erofs-ramdax/overlay
	# systemd waits for the devices that udev tells it of: /dev/daxN.M is none by itself.
	inst_rules "$moddir/99-erofs-dax.rules"
	inst_hook pre-pivot 10 "$moddir/pre-pivot.sh"
}

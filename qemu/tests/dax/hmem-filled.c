// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: specific-purpose memory is filled through its DAX device, mounted twice, and used again after that
 * config: DEV_DAX_HMEM DEV_DAX_FSDEV EROFS_FS_RAMDAX
 * image: tree tree
 * device: blk:tree
 * append: memmap=64M%128M-1+0xefffffff dax_hmem.region_idle=1
 * timeout: 60
 */
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "guest.h"
#include "hmem.h"
#include "ktap.h"

#define REGION	"/sys/bus/platform/devices/hmem.0/dax_region/"

int main(void)
{
	struct stat a, b;

	ktap_begin();
	ktap_ok(number_in(REGION "size") == HMEM_BYTES, "firmware's specific-purpose memory is a region of hmem");
	ktap_ok(!hmem_resize(HMEM_BYTES) && !driver(BUS_DAX "device_dax/bind", "dax0.0") && is_bound("device_dax"),
		"make a DAX device of it");
	ktap_ok(devdax_fill(), "fill it with an image");
	ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "fsdev_dax/bind", "dax0.0"),
		"give it to fsdev_dax");
	mkdir("/a", 0755);
	mkdir("/b", 0755);
	ktap_ok(!mount(NODE, "/a", "erofs", MS_RDONLY, NULL), "mount it");
	ktap_ok(!mount(NODE, "/b", "erofs", MS_RDONLY, NULL), "mount it again");
	ktap_ok(!stat("/a", &a) && !stat("/b", &b) && a.st_dev == b.st_dev, "both are one file system");
	ktap_ok(sums_ok("/a") && sums_ok("/b"), "every file is right in both");
	ktap_ok(is_dax("/a/data.65536"), "they are read by DAX");
	ktap_fails(driver(BUS_DAX "fsdev_dax/unbind", "dax0.0") != 0, EBUSY, "it cannot be taken away");
	ktap_ok(!umount("/a") && sums_ok("/b") && !umount("/b"), "unmount one, read the other one, unmount it");
	ktap_ok(!driver(BUS_DAX "fsdev_dax/unbind", "dax0.0") && !driver(BUS_DAX "device_dax/bind", "dax0.0") &&
		image_can_be_mapped(), "device_dax has it again, with the image");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: device_dax that cannot have a device's memory says so each time, and leaves nothing behind that is freed
 * config: DEV_DAX_HMEM DEV_DAX_FSDEV EROFS_FS_RAMDAX
 * image: tree tree
 * device: blk:tree
 * append: memmap=64M%128M-1+0xefffffff dax_hmem.region_idle=1
 * timeout: 120
 */
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "guest.h"
#include "hmem.h"
#include "ktap.h"
#include "pages.h"

#define HMEM	"/sys/bus/platform/drivers/hmem/"

static char bytes[PAGE_ROOM], again[PAGE_ROOM];

int main(void)
{
	int fd = -1;

	ktap_begin();
	ktap_ok(!hmem_resize(HMEM_BYTES) && !driver(BUS_DAX "device_dax/bind", "dax0.0") && devdax_fill() &&
		!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "fsdev_dax/bind", "dax0.0"),
		"fill a device with an image, and give it to fsdev_dax");
	ktap_ok(!mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL) &&
		(fd = page_in_pipe("/mnt/data.65536", 0, bytes)) >= 0 && !umount("/mnt"),
		"a page of a file goes into a pipe");
	ktap_ok(!driver(HMEM "unbind", "hmem.0") && !driver(HMEM "bind", "hmem.0") && !hmem_resize(HMEM_BYTES),
		"the region goes, and comes back");
	for (int i = 0; i < 3; i++)
		ktap_eq(driver(BUS_DAX "device_dax/bind", "dax0.0"), EBUSY, "device_dax: %d: the memory is in use", i);
	ktap_eq(driver(BUS_DAX "fsdev_dax/bind", "dax0.0"), EBUSY, "fsdev_dax: it is in use");
	ktap_ok(!driver(HMEM "unbind", "hmem.0"), "the region goes again");
	for (int i = 0; i < 20; i++) {
		usleep(10000);
		free(malloc(1 << 20));
	}
	ktap_ok(ktap_is(read(fd, again, PAGE_ROOM), ==, getpagesize()) && !memcmp(bytes, again, getpagesize()),
		"the pipe has the right bytes");
	return ktap_end();
}

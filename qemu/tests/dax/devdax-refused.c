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

#include "devdax.h"
#include "guest.h"
#include "ktap.h"
#include "pages.h"

/* RAM at 128 MiB, which the kernel parameter makes specific-purpose, as firmware would. */
#define SIZE	(64L << 20)
#define HMEM	"/sys/bus/platform/drivers/hmem/"

static char bytes[PAGE_ROOM], again[PAGE_ROOM];

static bool copy_image(void)
{
	int from = open("/dev/harness/blk0", O_RDONLY), to = open(NODE, O_RDWR);
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, to, 0);
	ssize_t n = -1;
	long at = 0;

	if (p != MAP_FAILED) {
		while ((n = read(from, p + at, SIZE - at)) > 0)
			at += n;
		munmap(p, SIZE);
	}
	close(from);
	close(to);
	return !n && at;
}

static bool make_device(void)
{
	return !driver("/sys/bus/dax/devices/dax0.0/size", "67108864");
}

int main(void)
{
	int fd = -1;

	ktap_begin();
	ktap_ok(make_device() && !driver(BUS_DAX "device_dax/bind", "dax0.0") && copy_image() &&
		!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "fsdev_dax/bind", "dax0.0"),
		"fill a device with an image, and give it to fsdev_dax");
	ktap_ok(!mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL) &&
		(fd = page_in_pipe("/mnt/data.65536", 0, bytes)) >= 0 && !umount("/mnt"),
		"a page of a file goes into a pipe");
	ktap_ok(!driver(HMEM "unbind", "hmem.0") && !driver(HMEM "bind", "hmem.0") && make_device(),
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

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

#include "devdax.h"
#include "guest.h"
#include "ktap.h"

/* RAM at 128 MiB, which the kernel parameter makes specific-purpose, as firmware would. */
#define REGION	"/sys/bus/platform/devices/hmem.0/dax_region/"
#define SIZE	(64L << 20)

/* What an administrator does without daxctl. */
static bool make_device(const char *driver_name)
{
	char bind[128];

	snprintf(bind, sizeof(bind), BUS_DAX "%s/bind", driver_name);
	return !driver("/sys/bus/dax/devices/dax0.0/size", "67108864") && !driver(bind, "dax0.0") &&
	       is_bound(driver_name);
}

/* Copy the image from the disk by a mapping, the only way into a DAX device. */
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

int main(void)
{
	struct stat a, b;

	ktap_begin();
	ktap_ok(number_in(REGION "size") == SIZE, "firmware's specific-purpose memory is a region of hmem");
	ktap_ok(make_device("device_dax"), "make a DAX device of it");
	ktap_ok(copy_image(), "fill it with an image");
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

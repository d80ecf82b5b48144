/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory of a DAX device that is RAM of the kernel for a while, for tests in C. */
#ifndef KMEM_H
#define KMEM_H

/* memory blocks of 128 MiB */
#define DATA		(128UL << 20)
#include "devdax.h"
#include "lost.h"

#define FILE_NAME	"/mnt/data.65536"
/* of the memory block in which the image is: memmap=256M!512M, without DATA */
#define START		(640UL << 20)
#define BLOCK		"/sys/devices/system/memory/memory5/state"
/* the page of the file that is lost */
#define BAD		3

/**
 * kmem_begin - write an image, and make a block of its memory RAM: four results
 *
 * Return: where FILE_NAME is, in bytes from the start of the image.
 */
static inline int64_t kmem_begin(void)
{
	int64_t place = 0;

	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(!mount("/dev/harness/blk0", "/mnt", "erofs", MS_RDONLY, NULL) && (place = place_of(FILE_NAME)) > 0 &&
		!umount("/mnt"), "find where a file is");
	ktap_ok(!fill(), "write an image and an info block");
	driver(BUS_ND "nd_pmem/unbind", "namespace0.0");
	driver(BUS_ND "nd_pmem/bind", "namespace0.0");
	ktap_ok(image_can_be_mapped() && is_bound("device_dax"), "it is a DAX device, of device_dax");
	ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "kmem/new_id", "dax0.0") && is_bound("kmem"), "give it to kmem");
	write_to(BLOCK, "online_movable");
	return place;
}

/** kmem_check - the block is offline: mount the image, and see that the page BAD is lost: seven results */
static inline void kmem_check(void)
{
	ktap_ok(!driver(BUS_DAX "kmem/unbind", "dax0.0") && !driver(BUS_DAX "device_dax/bind", "dax0.0"), "give it to device_dax");
	ktap_ok(devdax_fill(), "write the image again");
	ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "fsdev_dax/bind", "dax0.0"), "give it to fsdev_dax");
	ktap_ok(!mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	ktap_eq(lost_error(FILE_NAME, (BAD - 1) * 4096), 0, "a read of another page does not fail");
	ktap_eq(lost_error(FILE_NAME, BAD * 4096), EIO, "a read of the lost page fails");
	ktap_ok(!umount("/mnt"), "unmount");
}

#endif

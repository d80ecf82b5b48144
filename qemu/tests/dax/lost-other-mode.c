// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that is lost is known whichever driver has the memory next: nd_pmem, fsdev_dax, and back
 * series: 3-memory/????-nd_pmem-know-of-memory-that-was-lost-under-another-d.patch
 * config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_PMEM X86_PMEM_LEGACY MEMORY_FAILURE HWPOISON_INJECT
 * image: tree tree -Enoinline_data
 * device: blk:tree
 * append: memmap=16M!128M
 * timeout: 60
 */
#include "devdax.h"
#include "lost.h"

#define FILE_NAME	"/mnt/data.65536"
#define FIRST	(128ULL << 20 >> 12)

static int64_t place;

/* Read a page of the file on /dev/pmem0, without page cache. Return: 0 or errno */
static int disk_error(int page)
{
	static char buf[4096] __attribute__((aligned(4096)));
	int fd = open("/dev/pmem0", O_RDONLY | O_DIRECT), error;

	error = pread(fd, buf, 4096, place + page * 4096) == 4096 ? 0 : errno;
	close(fd);
	return error;
}

int main(void)
{
	ktap_begin();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(!mount("/dev/harness/blk0", "/mnt", "erofs", MS_RDONLY, NULL) && (place = place_of(FILE_NAME)) > 0 &&
		!umount("/mnt"), "find where a file is");
	ktap_ok(!fill(), "write an image and an info block");
	place += DATA;

	/* EBUSY: nobody claims it, so nobody is told; it is remembered all the same */
	page_poison(FIRST + place / 4096 + 3);
	ktap_eq(disk_error(3), EIO, "nd_pmem: a read of it fails");
	driver(BUS_ND "nd_pmem/unbind", "namespace0.0");
	driver(BUS_ND "nd_pmem/bind", "namespace0.0");
	ktap_ok(image_can_be_mapped() && is_bound("device_dax"), "it is a DAX device, of device_dax");
	ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "fsdev_dax/bind", "dax0.0"),
		"give it to fsdev_dax");
	ktap_ok(!mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	ktap_eq(lost_error(FILE_NAME, 3 * 4096), EIO, "fsdev_dax: a read of page 3 fails");
	ktap_ok(page_poison(FIRST + place / 4096 + 5), "fsdev_dax: lose page 5");
	ktap_eq(lost_error(FILE_NAME, 5 * 4096), EIO, "fsdev_dax: a read of page 5 fails");
	ktap_ok(!umount("/mnt"), "unmount");

	ktap_ok(!driver(BUS_DAX "fsdev_dax/unbind", "dax0.0"), "unbind");
	driver(BUS_ND "dax_pmem/unbind", "dax0.1");
	driver("/sys/bus/nd/devices/dax0.1/namespace", "\n");
	driver("/sys/bus/nd/devices/namespace0.0/force_raw", "1");
	driver(BUS_ND "nd_pmem/bind", "namespace0.0");
	wait_for_file("/dev/pmem0", 1);
	ktap_ok(!access("/dev/pmem0", F_OK), "it is a block device, of nd_pmem");
	ktap_eq(disk_error(4), 0, "nd_pmem: a read of page 4 does not fail");
	ktap_eq(disk_error(3), EIO, "nd_pmem: a read of page 3 fails");
	ktap_eq(disk_error(5), EIO, "nd_pmem: a read of page 5 fails");
	return ktap_end();
}

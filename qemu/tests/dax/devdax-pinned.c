// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page of a DAX device that a pipe holds outlives device_dax, and no file system gets its memory meanwhile
 * config: DEV_DAX_HMEM DEV_DAX_FSDEV EROFS_FS_RAMDAX
 * image: tree tree
 * device: blk:tree
 * append: memmap=64M%128M-1+0xefffffff dax_hmem.region_idle=1
 * timeout: 60
 */
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "guest.h"
#include "hmem.h"
#include "ktap.h"

static char again[4096];
static struct iovec iov;

/* Fill the device, and leave its page @at in a pipe.  Return: where to read it, or -1 */
static int fill_and_hold(long page)
{
	size_t size;
	char *p = devdax_map(&size);
	int ends[2];

	if (p == MAP_FAILED || pipe(ends))
		return -1;
	iov.iov_base = p + page;
	iov.iov_len = 4096;
	if (vmsplice(ends[1], &iov, 1, 0) != 4096)
		return -1;
	munmap(p, size);
	return ends[0];
}

int main(void)
{
	int fd;

	ktap_begin();
	ktap_ok(!hmem_resize(HMEM_BYTES) &&
		!driver(BUS_DAX "device_dax/bind", "dax0.0") && is_bound("device_dax"), "make a DAX device");
	ktap_ok((fd = fill_and_hold(0)) >= 0, "fill it with an image, and keep its first page in a pipe");
	ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0"), "take it from device_dax");
	ktap_ok(ktap_is(times_said("512 pages are still in use: the memory cannot be used again"), ==, 1),
		"it is said once that its memory stays");
	ktap_ok(driver(BUS_DAX "fsdev_dax/bind", "dax0.0") && is_bound(""), "fsdev_dax does not get it");
	ktap_ok(mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL) && (errno == ENXIO || errno == ENODEV), "nor does a file system");
	ktap_ok(ktap_is(read(fd, again, 4096), ==, 4096) && *(uint32_t *)(again + SUPER) == EROFS_MAGIC,
		"the pipe has the right bytes");
	close(fd);
	return ktap_end();
}

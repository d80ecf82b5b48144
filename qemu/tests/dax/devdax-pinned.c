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

#include "devdax.h"
#include "guest.h"
#include "ktap.h"

/* RAM at 128 MiB, which the kernel parameter makes specific-purpose, as firmware would. */
#define SIZE	(64L << 20)

static char again[4096];
static struct iovec iov;

/* Fill the device, and leave its page @at in a pipe.  Return: where to read it, or -1 */
static int fill_and_hold(long page)
{
	int from = open("/dev/harness/blk0", O_RDONLY), to = open(NODE, O_RDWR), ends[2];
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, to, 0);
	ssize_t n = -1;
	long at = 0;

	if (p == MAP_FAILED || pipe(ends))
		return -1;
	while ((n = read(from, p + at, SIZE - at)) > 0)
		at += n;
	iov.iov_base = p + page;
	iov.iov_len = 4096;
	if (n || !at || vmsplice(ends[1], &iov, 1, 0) != 4096)
		return -1;
	munmap(p, SIZE);
	close(from);
	close(to);
	return ends[0];
}

int main(void)
{
	int fd;

	ktap_begin();
	ktap_ok(!driver("/sys/bus/dax/devices/dax0.0/size", "67108864") &&
		!driver(BUS_DAX "device_dax/bind", "dax0.0") && is_bound("device_dax"), "make a DAX device");
	ktap_ok((fd = fill_and_hold(0)) >= 0, "fill it with an image, and keep its first page in a pipe");
	ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0"), "take it from device_dax");
	ktap_ok(ktap_is(times_said("1 pages are still in use: the memory cannot be used again"), ==, 1),
		"it is said once that its memory stays");
	ktap_ok(driver(BUS_DAX "fsdev_dax/bind", "dax0.0") && is_bound(""), "fsdev_dax does not get it");
	ktap_ok(mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL) && (errno == ENXIO || errno == ENODEV), "nor does a file system");
	ktap_ok(ktap_is(read(fd, again, 4096), ==, 4096) && *(uint32_t *)(again + SUPER) == EROFS_MAGIC,
		"the pipe has the right bytes");
	close(fd);
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that a pipe holds outlives its file system and its device, whose memory nobody gets again
 * config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_CARVEOUT
 * image: tree tree -Enoinline_data
 * device: carveout:tree,as=none
 * append: dax_carveout=golden:{carveout0.size}@{carveout0.address}
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "ktap.h"

#define PAGE		4096
#define NODE		"/dev/dax0.0"
#define FSDEV		"/sys/bus/dax/drivers/fsdev_dax/"
#define CARVEOUT	"/sys/bus/platform/drivers/dax_carveout/"

static char bytes[PAGE], again[PAGE];

/* Write @device to a file of a driver.  Return: 0 or an errno. */
static int driver(const char *file, const char *device)
{
	int fd = open(file, O_WRONLY), error = 0;

	if (fd < 0 || write(fd, device, strlen(device)) < 0)
		error = errno;
	close(fd);
	return error;
}

/* How often the kernel has said @what. */
static int said(const char *what)
{
	static char log[1 << 18];
	int n = klogctl(3, log, sizeof(log) - 1), times = 0;

	log[n > 0 ? n : 0] = 0;
	for (char *p = log; (p = strstr(p, what)); p++)
		times++;
	return times;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* A page of the file in a pipe, and nothing else of the file.  Return: the pipe's end. */
static int page_in_pipe(void)
{
	int fd = open("/mnt/data.65536", O_RDONLY), ends[2];
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	struct iovec iov = { .iov_base = p, .iov_len = PAGE };

	if (p == MAP_FAILED || pread(fd, bytes, PAGE, PAGE) != PAGE || pipe(ends) ||
	    vmsplice(ends[1], &iov, 1, 0) != PAGE)
		return -1;
	munmap(p, PAGE);
	close(fd);
	close(ends[1]);
	return ends[0];
}

int main(void)
{
	double start;
	int fd;

	ktap_begin();
	if (!ktap_ok(!mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL), "mount") ||
	    !ktap_ok((fd = page_in_pipe()) >= 0, "a page goes into a pipe"))
		return ktap_end();
	start = now();
	ktap_ok(!umount("/mnt") && now() - start < 1, "unmount, in %.3f s", now() - start);
	ktap_ok(driver(FSDEV "unbind", "dax0.0") == EBUSY, "unbind in sysfs is refused");
	ktap_ok(said("end the processes that use"), "and it is said why");

	start = now();
	ktap_ok(!driver(CARVEOUT "unbind", "dax_carveout.0") && now() - start < 2,
		"the device is removed all the same, in %.3f s", now() - start);
	ktap_ok(access(NODE, F_OK) && said("1 pages are still in use: the memory cannot be used again") == 1,
		"it is said once that its memory stays");
	ktap_ok(driver(CARVEOUT "bind", "dax_carveout.0") && access(NODE, F_OK), "no driver gets the memory again");
	ktap_ok(said("overlaps what is in use already"), "and it is said why");
	ktap_ok(read(fd, again, PAGE) == PAGE && !memcmp(bytes, again, PAGE), "the pipe has the right bytes");
	close(fd);
	ktap_ok(driver(CARVEOUT "bind", "dax_carveout.0"), "nor when the pipe is read");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that a pipe holds outlives its file system and its device, whose memory nobody gets again
 * image: tree tree --dax
 * device: ramdax:tree
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "carveout.h"
#include "ktap.h"
#include "pages.h"
#include "system.h"

#define NODE		"/dev/dax0.0"
#define FSDEV		"/sys/bus/dax/drivers/fsdev_dax/"

static char bytes[PAGE_ROOM], again[PAGE_ROOM];

int main(void)
{
	double start;
	int fd;

	ktap_begin();
	if (!ktap_ok(!mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL), "mount") ||
	    !ktap_ok(ktap_is((fd = page_in_pipe("/mnt/data.65536", 0, bytes)), >=, 0), "a page goes into a pipe"))
		return ktap_end();
	start = seconds_now();
	ktap_ok(!umount("/mnt") && seconds_now() - start < 1, "unmount, in %.3f s", seconds_now() - start);
	ktap_fails(!write_to(FSDEV "unbind", "dax0.0"), EBUSY, "unbind in sysfs is refused");
	ktap_ok(times_said("end the processes that use"), "and it is said why");

	start = seconds_now();
	ktap_ok(carveout_driver("unbind", 0) && seconds_now() - start < 4,
		"the device is removed all the same, in %.3f s", seconds_now() - start);
	ktap_ok(access(NODE, F_OK) &&
		ktap_is(times_said("1 pages are still in use: the memory cannot be used again"), ==, 1),
		"it is said once that its memory stays");
	ktap_ok(!carveout_driver("bind", 0) && access(NODE, F_OK), "no driver gets the memory again");
	ktap_ok(times_said("overlaps what is in use already"), "and it is said why");
	ktap_ok(ktap_is(read(fd, again, PAGE_ROOM), ==, getpagesize()) && !memcmp(bytes, again, getpagesize()),
		"the pipe has the right bytes");
	close(fd);
	ktap_ok(!carveout_driver("bind", 0), "nor when the pipe is read");
	return ktap_end();
}

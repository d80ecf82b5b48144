// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that a pipe holds delays no unmount, and keeps the device for EROFS until the pipe is read
 * image: tree tree --dax
 * device: pmem:tree
 * device: ramdax:tree
 * timeout: 90
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "ktap.h"
#include "pages.h"
#include "system.h"

#define FSDEV	"/sys/bus/dax/drivers/fsdev_dax/"

static char bytes[PAGE_ROOM], again[PAGE_ROOM];

static bool pipe_is_right(int fd)
{
	bool ok = read(fd, again, PAGE_ROOM) == getpagesize() && !memcmp(bytes, again, getpagesize());

	close(fd);
	return ok;
}

static bool quick_umount(void)
{
	double start = seconds_now();
	int rc = umount("/mnt");

	return ktap_ok(!rc && ktap_is(seconds_now() - start, <, 1), "unmount in less than a second");
}

static void on_device(const char *what, const char *device, const char *options)
{
	const char *name = strncmp(device, "/dev/dax", 8) ? NULL : device + 5;
	int fd, again_fd, tries;

	ktap_note("%s", what);
	if (!ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, options), "%s: mount", what) ||
	    !ktap_ok((fd = page_in_pipe("/mnt/data.65536", 0, bytes)) >= 0, "%s: a page goes into a pipe", what))
		return;
	/* the inode goes before the mount does: one entry, and one of many */
	ktap_ok((again_fd = page_in_pipe("/mnt/one", 0, bytes)) >= 0, "%s: so does the page of a short file", what);
	write_to("/proc/sys/vm/drop_caches", "2");
	close(again_fd);
	ktap_ok((again_fd = page_in_pipe("/mnt/data.65536", 0, bytes)) >= 0, "%s: the file can be mapped again", what);
	close(again_fd);
	quick_umount();

	ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, options), "%s: mounted again at once", what);
	again_fd = page_in_pipe("/mnt/data.65536", 0, bytes);
	ktap_ok(again_fd >= 0 && pipe_is_right(again_fd), "%s: the same page goes through a pipe", what);
	quick_umount();
	if (name)
		ktap_ok(!write_to(FSDEV "unbind", name) && errno == EBUSY, "%s: the driver cannot be unbound", what);

	/* a mount that has nothing to do with the page takes the claim over, and leaves it */
	for (int i = 0; i < 3; i++)
		ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, options) && quick_umount(), "%s: mount and unmount", what);
	if (name)
		ktap_ok(!write_to(FSDEV "unbind", name) && errno == EBUSY, "%s: still it cannot be unbound", what);

	ktap_ok(pipe_is_right(fd), "%s: the pipe has the right bytes", what);
	for (int i = 0; i < 3; i++)
		ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, options) && quick_umount(), "%s: mount and unmount", what);
	if (!name) {
		sleep(3);
		ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, options) && quick_umount(), "%s: and later", what);
		return;
	}
	/* EROFS looks once a second */
	for (tries = 0; tries < 100 && !write_to(FSDEV "unbind", name); tries++)
		usleep(100000);
	ktap_ok(tries < 100, "%s: then it can, after %d.%d s", what, tries / 10, tries % 10);
	ktap_ok(write_to(FSDEV "bind", name), "%s: and bound again", what);
	ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, options), "%s: and mounted", what);
	umount("/mnt");
}

int main(void)
{
	glob_t nodes;

	ktap_begin();
	on_device("block device", "/dev/pmem0", "dax=always");
	if (ktap_ok(!glob("/dev/dax*.0", 0, NULL, &nodes), "the carve-out is a DAX device"))
		on_device("DAX device", nodes.gl_pathv[0], "");
	return ktap_end();
}

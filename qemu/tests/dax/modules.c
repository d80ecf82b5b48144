// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: modules stay while something of theirs is in use, go when nothing is, and what they leave needs none of their code
 * flavours: modules
 * config: MODULE_UNLOAD EROFS_FS_RAMDAX DEV_DAX_HMEM DEV_DAX_FSDEV MEMORY_FAILURE HWPOISON_INJECT
 * image: tree tree -Enoinline_data
 * device: blk:tree
 * device: pmem:tree
 * append: memmap=64M%128M-1+0xefffffff dax_hmem.region_idle=1
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "guest.h"
#include "hmem.h"
#include "ktap.h"
#include "pages.h"
#include "share.h"
#include "system.h"

#define FILE_NAME	"/mnt/data.65536"

static char bytes[PAGE_ROOM], again[PAGE_ROOM];

/* rmmod, as modprobe -r does it: no wait.  Return: 0 or an errno */
static int unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? errno : 0;
}

/* insmod.  Return: 0 or an errno */
static int load(const char *name, const char *parameters)
{
	char pattern[64];
	glob_t found;
	int fd, error;

	snprintf(pattern, sizeof(pattern), "/harness/modules/*-%s.ko", name);
	if (glob(pattern, 0, NULL, &found))
		return ENOENT;
	fd = open(found.gl_pathv[0], O_RDONLY);
	error = syscall(SYS_finit_module, fd, parameters, 0) ? errno : 0;
	close(fd);
	globfree(&found);
	return error;
}

static bool is_unloaded_within(const char *name, double seconds)
{
	double end = seconds_now() + seconds;

	while (unload(name)) {
		if (seconds_now() > end)
			return false;
		usleep(50000);
	}
	return true;
}

/* @fd: the end of a pipe that has a page whose bytes are those of @bytes */
static bool pipe_is_right(int fd)
{
	bool right = ktap_is(read(fd, again, getpagesize()), ==, getpagesize()) &&
		!memcmp(bytes, again, getpagesize());

	close(fd);
	return right;
}

static bool said_of_pages(int times)
{
	return ktap_is(times_said("1 pages are still in use: the memory cannot be used again"), ==, times);
}

static void erofs_alone(void)
{
	int fd, held;

	ktap_ok(share_mount("/dev/harness/blk0", "/mnt", NULL) && sums_ok("/mnt"), "mount, and read all");
	fd = open(FILE_NAME, O_RDONLY);
	held = page_in_pipe(FILE_NAME, 1, bytes);
	ktap_eq(unload("erofs"), EWOULDBLOCK, "erofs stays while it is mounted");
	ktap_ok(!umount2("/mnt", MNT_DETACH) && unload("erofs") == EWOULDBLOCK,
		"and while a file of it is open, after a lazy unmount");
	close(fd);
	ktap_ok(is_unloaded_within("erofs", 5), "it goes when the file is closed");
	ktap_ok(pipe_is_right(held), "a page of it in a pipe has the right bytes");
	ktap_ok(!load("erofs", ""), "it comes again");
}

static void with_fsdev(void)
{
	int fd, held;

	ktap_ok(!hmem_resize(HMEM_BYTES) && !driver(BUS_DAX "device_dax/bind", "dax0.0") && devdax_fill() &&
		!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "fsdev_dax/bind", "dax0.0"),
		"fill a DAX device, for file systems");
	ktap_ok(!mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL) && sums_ok("/mnt"), "mount it, and read all");
	held = page_in_pipe(FILE_NAME, 1, bytes);
	ktap_ok(held >= 0 && unload("fsdev_dax") == EWOULDBLOCK, "fsdev_dax stays while its device is mounted");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_eq(unload("erofs"), EWOULDBLOCK, "erofs stays while it looks after a page that a pipe has");
	ktap_eq(unload("fsdev_dax"), EWOULDBLOCK, "so does fsdev_dax");
	ktap_ok(pipe_is_right(held), "the page has the right bytes");
	ktap_ok(is_unloaded_within("erofs", 10), "erofs goes when the pipe has been read");
	ktap_ok(!driver(BUS_DAX "fsdev_dax/unbind", "dax0.0") && is_unloaded_within("fsdev_dax", 5),
		"fsdev_dax goes when it has no device");
	ktap_ok(!load("fsdev_dax", "") && !load("erofs", ""), "they come again");

	ktap_ok(!driver(BUS_DAX "fsdev_dax/bind", "dax0.0") && !mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL) &&
		sums_ok("/mnt"), "the device has its content, and is mounted");
	ktap_ok(!unload("dax_hmem"), "the module that made the device goes, and takes it away");
	fd = open(FILE_NAME, O_RDONLY);
	ktap_fails(pread(fd, bytes, 1, 0) < 0, EIO, "a file of it gives EIO");
	close(fd);
	ktap_ok(!umount("/mnt") && is_unloaded_within("erofs", 5) && is_unloaded_within("fsdev_dax", 5),
		"all of them can go");
	ktap_ok(!load("fsdev_dax", "") && !load("dax_hmem", "region_idle=1") && !load("erofs", ""), "and come again");
}

static void with_device_dax(void)
{
	uint64_t frame = 0;
	size_t size;
	int ends[2];
	char *p;

	ktap_ok(!hmem_resize(HMEM_BYTES) && !driver(BUS_DAX "device_dax/bind", "dax0.0"), "the device, for device_dax");
	p = devdax_map(&size);
	if (!ktap_ok(p != MAP_FAILED && !pipe(ends) && (frame = page_frame(p)) &&
	    vmsplice(ends[1], &(struct iovec){ p, getpagesize() }, 1, 0) == getpagesize(), "a page of it goes into a pipe"))
		return;
	memcpy(bytes, p, getpagesize());
	ktap_eq(unload("device_dax"), EWOULDBLOCK, "device_dax stays while its device is mapped");
	munmap(p, size);
	ktap_ok(is_unloaded_within("device_dax", 5), "it goes when the mapping does, the page in the pipe");
	ktap_ok(said_of_pages(1), "it is said that its memory stays");
	ktap_ok(page_poison(frame + 1), "a page of that memory is lost, which nobody uses");
	ktap_ok(pipe_is_right(ends[0]), "the page in the pipe has the right bytes");
	ktap_ok(!load("device_dax", ""), "device_dax comes again");
}

static void with_pmem(void)
{
	uint64_t frame = 0;
	int fd, held;
	char *p;

	ktap_ok(!mount("/dev/harness/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount a block device with DAX");
	fd = open(FILE_NAME, O_RDONLY);
	p = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	held = page_in_pipe(FILE_NAME, 1, bytes);
	ktap_ok(p != MAP_FAILED && (frame = page_frame(p)) && held >= 0, "a page of it goes into a pipe");
	ktap_eq(unload("nd_pmem"), EWOULDBLOCK, "nd_pmem stays while its device is mounted");
	munmap(p, getpagesize());
	close(fd);
	ktap_ok(!umount("/mnt") && is_unloaded_within("nd_pmem", 5), "it goes then, the page in the pipe");
	ktap_ok(said_of_pages(2), "it is said that its memory stays");
	/* it is not one of a file any more, for which there is nothing to be done */
	ktap_fails(!page_poison(frame), EBUSY, "another page of that memory is lost");
	ktap_ok(pipe_is_right(held), "the page in the pipe has the right bytes");
	ktap_ok(!load("nd_pmem", ""), "nd_pmem comes again");
}

int main(void)
{
	ktap_begin();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	erofs_alone();
	with_fsdev();
	with_device_dax();
	with_pmem();
	return ktap_end();
}

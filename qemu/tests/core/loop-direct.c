// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a loop device with direct I/O can read each of its blocks, also if the file is on an overlay over a 4Kn disk
 * config: EROFS_FS OVERLAY_FS BLK_DEV_LOOP
 * image: twice crafted twice
 * device: blk:twice
 *
 * Without "loop: ask the file system how direct I/O has to be aligned" the device has
 * blocks of 512 bytes, and reading one is an I/O error.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"

#define ALIGN	4096

/* A read-only loop device on @file; @device gets its path. Return: a descriptor. */
static int attach(const char *file, unsigned int flags, unsigned int block, char *device)
{
	struct loop_config config = { .block_size = block,
				      .info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | flags };
	int control = open("/dev/loop-control", O_RDWR), fd = open(file, O_RDONLY), loop;

	config.fd = fd;
	snprintf(device, 32, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
	loop = open(device, O_RDONLY);
	ktap_ok(fd >= 0 && loop >= 0 && !ioctl(loop, LOOP_CONFIGURE, &config), "%s on %s", device, file);
	close(fd);
	close(control);
	return loop;
}

/* Does a device on @file say what it can do? */
static void test_file(const char *file, int want)
{
	int fd = open(file, O_RDONLY), loop, direct, size;
	struct loop_info64 info = { 0 };
	char device[32], *got, *have;

	loop = attach(file, LO_FLAGS_DIRECT_IO, 0, device);
	ktap_ok(!ioctl(loop, LOOP_GET_STATUS64, &info) && (info.lo_flags & LO_FLAGS_DIRECT_IO), "it does direct I/O");
	if (ioctl(loop, BLKSSZGET, &size))
		size = 0;
	ktap_ok(size == want, "its blocks are of %d bytes: %d", want, size);
	direct = open(device, O_RDONLY | O_DIRECT);
	if (posix_memalign((void **)&got, ALIGN, ALIGN) || posix_memalign((void **)&have, ALIGN, ALIGN))
		return;
	ktap_ok(pread(direct, got, size, size) == size && pread(fd, have, size, size) == size &&
		!memcmp(got, have, size), "%s: read the second of them", file);
	free(got);
	free(have);
	close(direct);
	close(loop);
	close(fd);
}

int main(void)
{
	char disk[32];
	int loop;

	ktap_begin();
	mkdir("/lower", 0755);
	mkdir("/none", 0755);
	mkdir("/over", 0755);
	loop = attach("/dev/harness/blk0", 0, ALIGN, disk);
	ktap_ok(!mount(disk, "/lower", "erofs", MS_RDONLY, NULL), "mount an image from a disk with blocks of 4 KiB");
	ktap_ok(!mount("o", "/over", "overlay", MS_RDONLY, "lowerdir=/lower:/none"), "mount an overlay over it");
	test_file("/lower/image", ALIGN);
	test_file("/over/image", ALIGN);
	test_file("/dev/harness/blk0", 512);
	umount("/over");
	umount("/lower");
	close(loop);
	return ktap_end();
}

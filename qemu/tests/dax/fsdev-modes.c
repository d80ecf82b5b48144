// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a DAX device goes from device_dax to fsdev_dax and back, and is mounted in the one mode only
 * config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_PMEM X86_PMEM_LEGACY
 * image: tree tree
 * device: blk:tree
 * append: memmap=16M!128M
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devdax.h"
#include "ktap.h"
#include "system.h"

#define ROUNDS		3

/* Whether @p can be read: 0 or an errno. */
static int readable(const char *p)
{
	int ends[2], error = 0;

	if (pipe(ends))
		return errno;
	if (write(ends[1], p, 1) < 0)
		error = errno;
	close(ends[0]);
	close(ends[1]);
	return error;
}

static bool mounts(void)
{
	return !mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL);
}

static bool content_is_right(void)
{
	return sums_ok("/mnt");
}

/* ENXIO; Linux 7.3 says ENODEV where a node has no mmap(), and where no driver is bound. */
static bool is_no_device(int error)
{
	return error == ENXIO || error == ENODEV;
}

/* What was opened and mapped with device_dax, when fsdev_dax comes. */
static void leave_device_dax(int old, char *held, int round)
{
	ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0") && is_bound(""), "%d: unbind it", round);
	ktap_ok(!driver(BUS_DAX "fsdev_dax/bind", "dax0.0") && is_bound("fsdev_dax"),
		"%d: fsdev_dax takes it, open as it is", round);
	ktap_fails(mmap(NULL, DATA, PROT_READ, MAP_SHARED, old, 0) == MAP_FAILED, ENXIO,
		"%d: it cannot be mapped by a file from before", round);
	ktap_ok(ktap_is(readable(held), ==, EFAULT), "%d: a mapping from before has nothing", round);
	errno = 0;
	ktap_ok(!magic_by_mapping() && is_no_device(errno), "%d: its node cannot be mapped", round);
}

/* A file that was opened with fsdev_dax does not decide what others get later. */
static void leave_fsdev_dax(int round)
{
	int node;

	ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "fsdev_dax/bind", "dax0.0"),
		"%d: to fsdev_dax once more", round);
	node = open(NODE, O_RDWR);
	ktap_ok(!driver(BUS_DAX "fsdev_dax/unbind", "dax0.0") && !driver(BUS_DAX "device_dax/bind", "dax0.0"),
		"%d: and back, while only its file is open", round);
	ktap_ok(image_can_be_mapped(), "%d: who opens it now can map it", round);
	close(node);
}

int main(void)
{
	const char *namespace;
	glob_t namespaces;
	int fd, old, node, error;
	char c, *held;

	ktap_begin();
	if (!ktap_ok(!(error = fill()), "write an image and an info block"))
		ktap_note("%s", strerror(error));
	driver(BUS_ND "nd_pmem/unbind", "namespace0.0");
	driver(BUS_ND "nd_pmem/bind", "namespace0.0");
	if (!ktap_ok(image_can_be_mapped() &&
	    is_bound("device_dax"), "the kernel finds a DAX device, for device_dax") ||
	    !ktap_ok(!glob(BUS_ND "dax_pmem/dax*", 0, NULL, &namespaces), "of a namespace in devdax mode"))
		return ktap_end();

	for (int round = 1; round <= ROUNDS; round++) {
		ktap_ok(image_can_be_mapped(), "%d: device_dax maps the image", round);
		old = open(NODE, O_RDWR);
		held = mmap(NULL, DATA, PROT_READ, MAP_SHARED, old, 0);
		ktap_ok(held != MAP_FAILED && ktap_is(readable(held), ==, 0), "%d: map it, and keep that", round);
		ktap_fails(!mounts(), EOPNOTSUPP, "%d: it cannot be mounted", round);
		ktap_ok(times_said("not in fsdev mode, bind it to /sys/bus/dax/drivers/fsdev_dax"),
			"%d: it is said why", round);
		ktap_ok(ktap_is(driver(BUS_DAX "fsdev_dax/bind", "dax0.0"), ==, EBUSY) &&
			is_bound("device_dax"),
			"%d: fsdev_dax gets it only after an unbind", round);
		leave_device_dax(old, held, round);
		ktap_ok(mounts() && content_is_right(), "%d: mount it, with all of its content", round);
		ktap_ok(ktap_is(driver(BUS_DAX "fsdev_dax/unbind", "dax0.0"), ==, EBUSY) &&
			is_bound("fsdev_dax"),
			"%d: unbind is refused while mounted", round);
		ktap_ok(driver(BUS_DAX "device_dax/bind", "dax0.0") && is_bound("fsdev_dax"),
			"%d: so is another driver", round);
		ktap_ok(content_is_right() && !umount("/mnt"), "%d: the mount has not noticed", round);
		node = open(NODE, O_RDWR);
		ktap_ok(!driver(BUS_DAX "fsdev_dax/unbind", "dax0.0") && is_bound("") && !mounts() &&
			is_no_device(errno),
			"%d: without a driver there is no mount", round);
		ktap_ok(!driver(BUS_DAX "device_dax/bind", "dax0.0") &&
			is_bound("device_dax"), "%d: and back, open as it is", round);
		ktap_ok(ktap_is(readable(held), ==, 0), "%d: the mapping from before has it again", round);
		munmap(held, DATA);
		close(old);
		close(node);
		leave_fsdev_dax(round);
	}

	/* the namespace goes, and with it the device */
	driver(BUS_DAX "device_dax/unbind", "dax0.0");
	driver(BUS_DAX "fsdev_dax/bind", "dax0.0");
	ktap_ok(mounts(), "mount");
	fd = open("/mnt/data.65536", O_RDONLY);
	namespace = strrchr(namespaces.gl_pathv[0], '/') + 1;
	ktap_ok(!driver(BUS_ND "dax_pmem/unbind", namespace), "remove the namespace under it");
	ktap_fails(pread(fd, &c, 1, 8192) < 0, EIO, "an open file gives EIO");
	close(fd);
	ktap_fails(access("/mnt/one", F_OK), EIO, "a lookup gives EIO");
	ktap_ok(!umount("/mnt"), "unmount what is left");
	ktap_ok(!driver(BUS_ND "dax_pmem/bind", namespace), "the namespace comes back");
	ktap_ok(image_can_be_mapped() && is_bound("device_dax"), "with the device and its content");
	return ktap_end();
}

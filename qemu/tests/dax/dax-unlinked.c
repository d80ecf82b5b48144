// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a device can be removed while a file goes whose inode says that it has no links
 * series: 3-memory
 * config: EROFS_FS_RAMDAX PAGE_SIZE_4KB
 * image: unlinked crafted unlinked
 * device: ramdax:unlinked
 * device: pmem:unlinked
 * cpus: 2
 * timeout: 120
 * memory: 512M
 */
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "carveout.h"
#include "ktap.h"
#include "system.h"

#define SIZE	(512UL << 20)

static char namespace[64];

/* Map all pages of a file by small ones, so that each has an entry of its own. */
static void *map_all(void)
{
	int fd = open("/mnt/file", O_RDONLY);
	char *at = mmap(NULL, SIZE + (4UL << 20), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile char *p;

	/* where no huge page fits */
	at = (char *)(((uintptr_t)at + (2UL << 20)) & ~((2UL << 20) - 1)) + 4096;
	p = mmap(at, SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	madvise(at, SIZE, MADV_NOHUGEPAGE);
	close(fd);
	if (p == MAP_FAILED)
		return NULL;
	if (madvise((void *)p, SIZE, MADV_POPULATE_READ))
		return NULL;
	return (void *)p;
}

static void try(const char *node, const char *options, bool carveout, int delay)
{
	volatile int *go = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void *p;
	int status;

	if (!ktap_ok(!mount(node, "/mnt", "erofs", MS_RDONLY, options), "mount %s", node))
		return;
	p = map_all();
	ktap_ok(p, "all of the file is mapped");
	if (!fork()) {
		/* no exit yet: it has the mapping, too */
		munmap(p, SIZE);
		while (!*go)
			;
		usleep(delay);
		bool ok = carveout ? carveout_driver("unbind", 0) :
			write_to("/sys/bus/nd/drivers/nd_pmem/unbind", namespace);
		_exit(!ok);
	}
	usleep(300000);
	munmap(p, SIZE);
	*go = 1;
	drop_caches("2");	/* the last user of the inode was its name */
	ktap_ok(wait(&status) > 0 && !status, "remove the device");
	ktap_ok(!umount("/mnt"), "unmount");
}

int main(void)
{
	char real[PATH_MAX] = "", dax[PATH_MAX] = "";

	ktap_begin();
	realpath("/dev/harness/ramdax0", dax);
	realpath("/sys/block/pmem0/device", real);
	snprintf(namespace, sizeof(namespace), "%s", basename(real));
	for (int i = 0; i < 4; i++) {
		try(dax, NULL, true, i * 20000);
		carveout_driver("bind", 0);
	}
	ktap_eq(times_said("pages are still in use: the memory"), 0, "no page of it was in use");
	for (int i = 0; i < 4; i++) {
		try("/dev/pmem0", "dax=always", false, i * 20000);
		write_to("/sys/bus/nd/drivers/nd_pmem/bind", namespace);
	}
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

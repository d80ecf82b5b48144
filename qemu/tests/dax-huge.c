// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file of 1 GiB made for memory is mapped by 512 faults, and losing a page of it costs that page alone
 * config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_RAMDAX TRANSPARENT_HUGEPAGE MEMORY_FAILURE HWPOISON_INJECT
 * image: huge huge
 * device: carveout:huge,as=none
 * append: ramdax=golden:{carveout0.size}@{carveout0.address}
 *
 * Without "fsdax: find the page of an index within a PMD entry" the first page
 * of the 2 MiB is lost too.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"
#include "pages.h"

#define PAGE		4096UL
#define HUGE		(2UL << 20)
#define SIZE		(1UL << 30)
/* of the program's own */
#define STRAY_FAULTS	8
/* the page that is lost: the fourth of the second 2 MiB */
#define LOST		(HUGE + 3 * PAGE)

static sigjmp_buf bus;

static void on_sigbus(int sig)
{
	(void)sig;
	siglongjmp(bus, 1);
}

/* Return: the number in a sysfs file of the mount, or -1. */
static long long counter(const char *device, const char *name)
{
	char path[256], text[32] = "-1";
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/erofs/%s/dax/%s", strrchr(device, '/') + 1, name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		ktap_note("%s: %s", path, strerror(errno));
	close(fd);
	return atoll(text);
}

int main(void)
{
	volatile char *p;
	long before, took, wrong = 0;
	long long mapped;
	struct stat st;
	glob_t nodes;
	char c;
	int fd;

	ktap_begin();
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	signal(SIGBUS, on_sigbus);
	if (!ktap_ok(!glob("/dev/dax*.0", 0, NULL, &nodes), "there is a DAX device") ||
	    !ktap_ok(!mount(nodes.gl_pathv[0], "/mnt", "erofs", MS_RDONLY, NULL), "mount"))
		return ktap_end();
	fd = open("/mnt/file", O_RDONLY);
	ktap_ok(fd >= 0 && !fstat(fd, &st) && st.st_size == SIZE, "a file of 1 GiB");
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (!ktap_ok(p != MAP_FAILED, "map it"))
		return ktap_end();
	before = page_faults();
	for (unsigned long at = 0; at < SIZE; at += HUGE) {
		wrong += *(volatile uint64_t *)(p + at) != at / HUGE + 1;
		for (unsigned long page = PAGE; page < HUGE; page += 31 * PAGE)
			wrong += p[at + page] != 0;
	}
	took = page_faults() - before;
	ktap_ok(took >= 512 && took <= 512 + STRAY_FAULTS, "%ld faults map all of it", took);
	ktap_ok(!wrong, "its content is right");
	ktap_ok(counter(nodes.gl_pathv[0], "faults_2m") == 512, "the mount counts 512 faults of 2 MiB");
	mapped = counter(nodes.gl_pathv[0], "mapped_bytes");
	ktap_ok(mapped == SIZE, "and %lld bytes that are mapped", mapped);

	/* who causes an error and has mapped the page hears of it at once */
	if (sigsetjmp(bus, 1))
		ktap_ok(true, "lose a page in the middle of a 2 MiB page");
	else
		ktap_ok(!page_poison(page_frame(p + LOST)), "lose a page in the middle of a 2 MiB page");
	if (sigsetjmp(bus, 1)) {
		ktap_ok(true, "it gives SIGBUS");
	} else {
		(void)p[LOST];
		ktap_ok(false, "it gives SIGBUS");
	}
	if (sigsetjmp(bus, 1)) {
		ktap_ok(false, "the other pages of these 2 MiB can be used");
	} else {
		for (unsigned long at = HUGE; at < 2 * HUGE; at += PAGE)
			if (at != LOST)
				(void)p[at];
		ktap_ok(*(volatile uint64_t *)(p + HUGE) == 2, "the other pages of these 2 MiB can be used");
	}
	ktap_ok(pread(fd, &c, 1, LOST) < 0 && errno == EIO, "read gives EIO there");
	ktap_ok(pread(fd, &c, 1, HUGE) == 1 && c == 2 && pread(fd, &c, 1, LOST - PAGE) == 1, "and data before it");
	munmap((void *)p, SIZE);
	close(fd);
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file of 1 GiB made for memory is mapped by 512 faults, and losing a page of it costs that page alone
 * config: TRANSPARENT_HUGEPAGE MEMORY_FAILURE HWPOISON_INJECT PAGE_SIZE_4KB
 * image: huge huge
 * device: ramdax:huge
 *
 * Without "fsdax: find the page of an index within a PMD entry" the first page
 * of the 2 MiB is lost too.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"
#include "pages.h"
#include "sigbus.h"
#include "system.h"

#define PAGE		4096UL
#define HUGE		(2UL << 20)
#define SIZE		(1UL << 30)
/* pages that a read fault maps */
#define AROUND		16
/* of the program's own */
#define STRAY_FAULTS	8
/* the page that is lost: the fourth of the second 2 MiB */
#define LOST		(HUGE + 3 * PAGE)

/* Map 2 MiB of @fd from @offset on, @shift bytes behind an address for a large page. Return: the faults, or -1. */
static long faults_at(int fd, off_t offset, unsigned long shift)
{
	char *room = mmap(NULL, 3 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t at = ((uintptr_t)room + HUGE - 1) / HUGE * HUGE + shift;
	volatile char *p = mmap((void *)at, HUGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, offset);
	long faults = -1;

	if (p != MAP_FAILED) {
		faults = page_faults();
		for (unsigned long o = PAGE; o < HUGE; o += PAGE)
			(void)p[o];
		faults = page_faults() - faults;
		if (*(volatile uint64_t *)p != (uint64_t)offset / HUGE + 1 || p[PAGE])
			faults = -1;
	}
	munmap(room, 3 * HUGE);
	return faults;
}

int main(void)
{
	volatile char *p;
	long before, took, wrong = 0;
	long mapped;
	struct stat st;
	char device[PATH_MAX];
	const char *name;
	char c;
	int fd;

	ktap_begin();
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	sigbus_catch();
	if (!ktap_ok(realpath("/dev/harness/ramdax0", device), "there is a DAX device") ||
	    !ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, NULL), "mount"))
		return ktap_end();
	name = strrchr(device, '/') + 1;
	fd = open("/mnt/file", O_RDONLY);
	ktap_ok(ktap_is(fd, >=, 0) && !fstat(fd, &st) && ktap_is(st.st_size, ==, SIZE), "a file of 1 GiB");
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (!ktap_ok(ktap_is(p, !=, MAP_FAILED), "map it"))
		return ktap_end();
	before = page_faults();
	for (unsigned long at = 0; at < SIZE; at += HUGE) {
		wrong += *(volatile uint64_t *)(p + at) != at / HUGE + 1;
		for (unsigned long page = PAGE; page < HUGE; page += 31 * PAGE)
			wrong += p[at + page] != 0;
	}
	took = page_faults() - before;
	ktap_ok(ktap_is(took, >=, 512) &&
		ktap_is(took, <=, 512 + STRAY_FAULTS), "%ld faults map all of it", took);
	ktap_ok(!wrong, "its content is right");
	ktap_eq(number_in("/sys/fs/erofs/%s/dax/faults_pmd", name), 512, "the mount counts 512 faults of 2 MiB");
	mapped = number_in("/sys/fs/erofs/%s/dax/mapped_bytes", name);
	ktap_eq(mapped, SIZE, "and %ld bytes that are mapped", mapped);

	took = faults_at(fd, 4 * HUGE, PAGE);
	ktap_ok(ktap_is(took, >, 0) && ktap_is(took, <=, (long)(HUGE / PAGE / AROUND + STRAY_FAULTS)),
		"%ld faults map 2 MiB of it at another alignment", took);

	/* a process that causes an error in a page that it maps gets SIGBUS at once */
	if (sigbus_came())
		ktap_ok(true, "lose a page in the middle of a 2 MiB page");
	else
		ktap_ok(!page_poison(page_frame(p + LOST)), "lose a page in the middle of a 2 MiB page");
	ktap_ok(gives_sigbus(p + LOST), "it gives SIGBUS");
	if (sigbus_came()) {
		ktap_ok(false, "the other pages of these 2 MiB can be used");
	} else {
		for (unsigned long at = HUGE; at < 2 * HUGE; at += PAGE)
			if (at != LOST)
				(void)p[at];
		ktap_eq(*(volatile uint64_t *)(p + HUGE), 2, "the other pages of these 2 MiB can be used");
	}
	ktap_fails(pread(fd, &c, 1, LOST) < 0, EIO, "read gives EIO there");
	ktap_ok(ktap_is(pread(fd, &c, 1, HUGE), ==, 1) && ktap_is(c, ==, 2) &&
		ktap_is(pread(fd, &c, 1, LOST - PAGE), ==, 1), "and data before it");
	munmap((void *)p, SIZE);
	close(fd);

	/* What is documented as a limit: small entries stay as long as the inode. */
	drop_inodes();
	fd = open("/mnt/file", O_RDONLY);
	took = faults_at(fd, 8 * HUGE, PAGE);
	ktap_ok(ktap_is(took, >, 0) && ktap_is(took, <=, (long)(HUGE / PAGE / AROUND + STRAY_FAULTS)),
		"%ld faults for a first user that maps 2 MiB unaligned", took);
	took = faults_at(fd, 8 * HUGE, 0);
	ktap_ok(ktap_is(took, >, 0) && ktap_is(took, <=, (long)(HUGE / PAGE / AROUND + STRAY_FAULTS)),
		"%ld faults for the next, who maps them aligned", took);
	close(fd);
	drop_inodes();
	fd = open("/mnt/file", O_RDONLY);
	took = faults_at(fd, 8 * HUGE, 0);
	ktap_ok(ktap_is(took, >, 0) && ktap_is(took, <=, STRAY_FAULTS), "%ld when the inode was reclaimed", took);
	close(fd);
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages of a DAX device that are lost to a memory error, for tests in C. */
#ifndef LOST_H
#define LOST_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "ktap.h"
#include "pages.h"
#include "sigbus.h"
#include "system.h"

/* The first page frame of the device /dev/harness/ramdax0, or 0. */
static inline uint64_t lost_device(void)
{
	FILE *file = fopen("/harness/devices", "r");
	unsigned long long start = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "ramdax0 range %llx", &start) == 1)
			break;
	if (file)
		fclose(file);
	return start / getpagesize();
}

/**
 * lost_page - lose a page of a file on /dev/harness/ramdax0: two results
 * @path: of the file, whose data is in one piece
 * @page: its number
 */
static inline void lost_page(const char *path, int page)
{
	int64_t place = place_of(path);

	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(place > 0 && lost_device(), "it is at %lld of %#llx", (long long)place, (long long)lost_device());
	ktap_ok(page_poison(lost_device() + place / getpagesize() + page), "lose a page");
}

/** lost_error - read the byte at @pos of a file that is opened for it. Return: 0, or errno */
static inline int lost_error(const char *path, off_t pos)
{
	int fd = open(path, O_RDONLY), error;
	char c;

	error = fd < 0 || pread(fd, &c, 1, pos) != 1 ? errno : 0;
	close(fd);
	return error;
}

/* How many pages of the file give SIGBUS, when they are touched one after the other? */
static inline int lost_by(const char *path, size_t size, int advice, int bad)
{
	int fd = open(path, O_RDONLY), n = 0;
	volatile char *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	drop_caches("1");
	madvise((void *)p, size, advice);
	for (int i = 0; i < (int)((size + getpagesize() - 1) / getpagesize()); i++)
		if (gives_sigbus(p + i * (long)getpagesize())) {
			n++;
			if (i != bad)
				printf("# page %d\n", i);
		}
	munmap((void *)p, size);
	close(fd);
	return n;
}

/**
 * lost_alone - lose a page of a file that DAX cannot map, and see that no other one is missed
 * @path: of the file, on /dev/harness/ramdax0
 * @size: of the file
 * @page: its number
 */
static inline void lost_alone(const char *path, size_t size, int page)
{
	sigbus_catch();
	ktap_ok(!is_dax(path), "the file has an inline tail");
	lost_page(path, page);
	ktap_eq(lost_by(path, size, MADV_NORMAL, page), 1, "one page gives SIGBUS");
	ktap_eq(lost_by(path, size, MADV_SEQUENTIAL, page), 1, "one page gives SIGBUS if it is read ahead");
	ktap_eq(lost_by(path, size, MADV_HUGEPAGE, page), 1, "one page gives SIGBUS with huge pages");
}

/**
 * lost_pinned - lose the only page of a file while a pipe has it: two results
 * @path: of the file, which is in the page cache
 * @other: the same file, or one that shares its pages
 *
 * Who reads the file later gets its bytes, from another page.
 */
static inline void lost_pinned(const char *path, const char *other)
{
	static char bytes[PAGE_ROOM], got[PAGE_ROOM];
	uint64_t frame, now;
	int pipe, fd;

	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	sigbus_catch();
	frame = file_frame(path);
	pipe = page_in_pipe(path, 0, bytes);
	ktap_ok(frame && pipe >= 0 && file_frame(other) == frame, "%s: its page %#llx is in a pipe", path,
		(unsigned long long)frame);
	page_poison(frame);	/* it's in use: EBUSY */
	now = sigbus_came() ? 0 : file_frame(other);
	fd = open(other, O_RDONLY);
	ktap_ok(now && now != frame && pread(fd, got, getpagesize(), 0) > 0 && !memcmp(got, bytes, getpagesize()),
		"%s: who reads it gets another one: %#llx", other, (unsigned long long)now);
	close(fd);
	close(pipe);
}

#endif /* LOST_H */

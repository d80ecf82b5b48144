// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: what scrubbing finds bad after the mount is not read any more, be it data or metadata, and nothing else is lost
 * config: EROFS_FS_RAMDAX FS_DAX
 * image: tree tree --dax
 * device: pmem:tree
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "ktap.h"
#include "sigbus.h"
#include "system.h"

/* two of the largest pages */
#define PAGES	"/mnt/twice"

static char page[4096];

/* Return: the sector where @path begins, or -1. */
static long sector_of(const char *path)
{
	int64_t place = place_of(path);

	return place < 0 ? -1 : (long)(place / 512);
}

/* Report a page as bad, as a scrubber does. */
static bool scrub(long sector)
{
	FILE *f = fopen("/sys/block/pmem0/badblocks", "w");
	bool ok = f && fprintf(f, "%ld 8", sector) > 0;

	return f && !fclose(f) && ok;
}

/* Return: bytes read at @offset, or -errno. */
static ssize_t read_at(const char *path, off_t offset)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : pread(fd, page, sizeof(page), offset);

	n = n < 0 ? -errno : n;
	close(fd);
	return n;
}

/* Return: a new mapping of the first page, with which a read fault comes first. */
static void *map_page(const char *path)
{
	int fd = open(path, O_RDONLY);
	void *p = mmap(NULL, sizeof(page), PROT_READ, MAP_SHARED, fd, 0);

	close(fd);
	return p;
}

int main(void)
{
	long dir, file;
	void *mapped;

	ktap_begin();
	sigbus_catch();
	if (!ktap_ok(!mount("/dev/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount"))
		return ktap_end();
	dir = sector_of("/mnt/many");
	file = sector_of(PAGES);
	ktap_ok(ktap_is(dir, >, 0) && ktap_is(file, >, 0), "a directory and a file have a place");
	ktap_ok(ktap_is(entries_of("/mnt/many"), ==, 602), "the directory can be listed");
	ktap_ok(ktap_is(read_at(PAGES, 0), ==, sizeof(page)), "the file can be read");

	ktap_ok(scrub(dir), "scrubbing finds the directory bad");
	ktap_ok(entries_of("/mnt/many") == -EIO, "it cannot be listed: %d", entries_of("/mnt/many"));
	ktap_fails(access("/mnt/many/a", F_OK), EIO, "nothing can be looked up there");
	ktap_ok(ktap_is(entries_of("/mnt/deep/a/b"), ==, 3), "other directories can be listed");
	mapped = map_page(PAGES);
	ktap_ok(!gives_sigbus(mapped), "the file can be mapped");
	munmap(mapped, sizeof(page));
	ktap_ok(scrub(file), "scrubbing finds the file bad");
	mapped = map_page(PAGES);
	ktap_ok(gives_sigbus(mapped), "what was mapped before is not mapped again");
	munmap(mapped, sizeof(page));
	ktap_ok(ktap_is(read_at(PAGES, 0), ==, -EIO), "its first page cannot be read");
	ktap_ok(ktap_is(read_at(PAGES, getpagesize()), ==, sizeof(page)), "its second page can be read");
	ktap_ok(ktap_is(read_at("/mnt/data.1000003", 0), ==, sizeof(page)), "other files can be read");
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

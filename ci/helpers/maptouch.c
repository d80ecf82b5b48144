// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * maptouch - map a file, touch given pages of it, and stay
 *
 * usage: maptouch FILE COMMAND...
 *   shared:PAGE:PAGES      map PAGES pages of FILE from PAGE on, MAP_SHARED
 *   private:PAGE:PAGES     the same, MAP_PRIVATE
 *   read:PAGE:PAGES        read these pages of the latest mapping (counted from
 *                          its start); the kernel may map up to 16 pages around
 *                          each one that is in the page cache
 *   write:PAGE:PAGES       write to them: maps just these; the first byte of
 *                          each page becomes what it was
 *   unmap                  give up the latest mapping
 *   unlink                 remove FILE
 *   anon                   map and touch memory that has nothing to do with FILE
 *   huge                   ask for huge pages in the latest mapping
 *   vfork                  end in a child that shares the memory of its parent
 *   name:NAME              be called NAME in /proc/PID/comm
 *
 * Pages are those of the machine, or of FILE's hugetlbfs.  When all is done it
 * prints "ready", and stays until it is killed or MAPTOUCH_SECONDS (default
 * 60) have passed.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char *path;
static size_t page;
static volatile char *at;
static size_t length;

static void map_file(int flags, size_t first, size_t pages)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	length = pages * page;
	at = mmap(NULL, length, PROT_READ | (flags == MAP_PRIVATE ||
		  (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR ? PROT_WRITE : 0),
		  flags, fd, first * page);
	if (at == MAP_FAILED)
		err(1, "mmap");
	close(fd);
}

static void touch(size_t first, size_t pages)
{
	for (size_t i = first; i < first + pages; i++)
		(void)at[i * page];
}

/* A read fault first would map the pages around: write before any read. */
static void dirty(size_t first, size_t pages)
{
	for (size_t i = first; i < first + pages; i++)
		__atomic_fetch_add(&at[i * page], 0, __ATOMIC_RELAXED);
}

static void run(const char *cmd)
{
	size_t a = 0, n = 0;
	char word[16];

	if (!strncmp(cmd, "name:", 5)) {
		prctl(PR_SET_NAME, cmd + 5);
		return;
	}
	if (sscanf(cmd, "%15[a-z]:%zu:%zu", word, &a, &n) < 1)
		errx(1, "no such command: %s", cmd);
	if (!strcmp(word, "shared")) {
		map_file(MAP_SHARED, a, n);
	} else if (!strcmp(word, "private")) {
		map_file(MAP_PRIVATE, a, n);
	} else if (!strcmp(word, "read")) {
		touch(a, n);
	} else if (!strcmp(word, "write")) {
		dirty(a, n);
	} else if (!strcmp(word, "unmap")) {
		munmap((void *)at, length);
	} else if (!strcmp(word, "unlink")) {
		if (unlink(path))
			err(1, "%s", path);
	} else if (!strcmp(word, "anon")) {
		char *p = mmap(NULL, 64 * page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			err(1, "mmap");
		memset(p, 1, 64 * page);
	} else if (!strcmp(word, "huge")) {
		if (madvise((void *)at, length, MADV_HUGEPAGE))
			err(1, "MADV_HUGEPAGE");
	} else if (!strcmp(word, "vfork")) {
		pid_t child = vfork();

		if (child < 0)
			err(1, "vfork");
		if (child > 0)
			_exit(0);
	} else {
		errx(1, "no such command: %s", cmd);
	}
}

int main(int argc, char **argv)
{
	const char *seconds = getenv("MAPTOUCH_SECONDS");
	struct statfs fs;

	if (argc < 2)
		errx(2, "usage: maptouch FILE COMMAND...");
	path = argv[1];
	if (statfs(path, &fs))
		err(1, "%s", path);
	page = fs.f_type == HUGETLBFS_MAGIC ? (size_t)fs.f_bsize :
					      (size_t)sysconf(_SC_PAGESIZE);
	alarm(seconds ? atoi(seconds) : 60);
	for (int i = 2; i < argc; i++)
		run(argv[i]);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

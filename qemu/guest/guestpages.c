// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guestpages - which parts of an image in memory the programs of this kernel
 * have mapped
 *
 * usage: guestpages ADDRESS SIZE [COUNTERS]
 *
 *   ADDRESS   guest-physical address of the image's first byte (hexadecimal)
 *   SIZE      of the memory that holds it, in bytes
 *   COUNTERS  a folder of the kernel with one number in a file, such as
 *             /sys/fs/erofs/pmem0/dax
 *
 * Looks at the page tables of all processes: a page frame between ADDRESS and
 * ADDRESS + SIZE is a page of the image, by whatever way it came there.  What is
 * read through the kernel, or by DAX without a mapping, is not to be seen here.
 * Prints lines for hostpages --guest (Documentation/accounting.md):
 *
 *   mapped OFFSET LENGTH   a part that some process has mapped, in bytes; in order
 *   counter NAME VALUE     each file of COUNTERS that holds one number
 *
 * Needs CAP_SYS_ADMIN, or the kernel shows no page frames.
 *
 * Exit status: 0, 1 with a message, 2 usage.
 */
#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An entry of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst). */
#define PM_PFN		((1ULL << 55) - 1)
#define PM_PRESENT	(1ULL << 63)
#define ENTRIES		512

static uint64_t page_bytes, first_pfn, pages;
static bool *mapped;

/* Note what the page tables have from @addr to @end. */
static void scan_range(int pagemap, uint64_t addr, uint64_t end)
{
	uint64_t entries[ENTRIES];

	while (addr < end) {
		uint64_t left = (end - addr) / page_bytes;
		ssize_t got = pread(pagemap, entries,
				    (left < ENTRIES ? left : ENTRIES) * 8,
				    addr / page_bytes * 8);

		/* The process has ended, or it is the vsyscall page. */
		if (got < 8)
			return;
		for (ssize_t i = 0; i < got / 8; i++) {
			uint64_t page = (entries[i] & PM_PFN) - first_pfn;

			if (entries[i] & PM_PRESENT && page < pages)
				mapped[page] = true;
		}
		addr += got / 8 * page_bytes;
	}
}

static void scan_process(const char *pid)
{
	uint64_t start, end, inode;
	char path[300], line[4400];
	int pagemap;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%s/pagemap", pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	/* Of anonymous memory nothing is the image's. */
	while (pagemap >= 0 && maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64,
			   &start, &end, &inode) == 3 && inode)
			scan_range(pagemap, start, end);
	if (maps)
		fclose(maps);
	if (pagemap >= 0)
		close(pagemap);
}

/* Call @each for each name in @path. */
static void for_each(const char *path, void (*each)(const char *name))
{
	DIR *dir = opendir(path);
	struct dirent *d;

	if (!dir)
		err(1, "%s", path);
	while ((d = readdir(dir)))
		each(d->d_name);
	closedir(dir);
}

static void take_process(const char *name)
{
	if (isdigit(name[0]))
		scan_process(name);
}

static const char *counters;

static void print_counter(const char *name)
{
	char path[4096], text[64] = "", *end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", counters, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	/* Folders, and what can only be written. */
	if (n <= 0 || !isdigit(text[0]))
		return;
	(void)strtoull(text, &end, 10);
	if (end[strspn(end, "\n")])
		return;
	printf("counter %s %.*s\n", name, (int)(end - text), text);
}

int main(int argc, char **argv)
{
	uint64_t address, size;
	char *end1, *end2;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: guestpages ADDRESS SIZE [COUNTERS]\n");
		return 2;
	}
	page_bytes = sysconf(_SC_PAGESIZE);
	address = strtoull(argv[1], &end1, 16);
	size = strtoull(argv[2], &end2, 10);
	if (*end1 || *end2 || !address || address % page_bytes || !size)
		errx(2, "%s %s: no address of a page and size in bytes", argv[1],
		     argv[2]);
	first_pfn = address / page_bytes;
	pages = (size + page_bytes - 1) / page_bytes;
	mapped = calloc(pages, sizeof(*mapped));
	if (!mapped)
		err(1, "%" PRIu64 " pages", pages);

	for_each("/proc", take_process);
	for (uint64_t p = 0, n; p < pages; p += n + 1) {
		for (n = 0; p + n < pages && mapped[p + n]; n++)
			;
		if (n)
			printf("mapped %" PRIu64 " %" PRIu64 "\n",
			       p * page_bytes, n * page_bytes);
	}
	if (argc == 4) {
		counters = argv[3];
		for_each(counters, print_counter);
	}
	return 0;
}

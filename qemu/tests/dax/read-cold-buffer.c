// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a read into memory that has to be faulted in in the middle of it has the bytes of the file
 * series: 3-memory
 * image: tree tree
 * device: ramdax:tree
 * timeout: 60
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"

/* Copies go by lines of 128 bytes on some machines, by words of 8 on others. */
#define PLACES	256

static char *file, *buffer;
static size_t page;

/*
 * Read @n bytes from the beginning of the file to where @before bytes are left in the first page, none of
 * the pages being there. Return: is all of it right?
 */
static bool read_right(int fd, size_t before, size_t n)
{
	char *to = buffer + page - before;

	madvise(buffer, 4 * page, MADV_DONTNEED);
	return pread(fd, to, n, 0) == (ssize_t)n && !memcmp(to, file, n);
}

int main(void)
{
	int fd, right = 0, ends = 0;
	struct stat st;

	ktap_begin();
	page = sysconf(_SC_PAGESIZE);
	ktap_ok(!mount("/dev/harness/ramdax0", "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	fd = open("/mnt/bin/busybox", O_RDONLY);
	ktap_ok(!fstat(fd, &st) && st.st_size > (off_t)(2 * page + PLACES), "there is a large file");
	file = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	buffer = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t before = 1; before <= PLACES; before++)
		right += read_right(fd, before, 2 * page) && read_right(fd, before, before + 200);
	ktap_eq(right, PLACES, "reads across the end of a page are right");

	/* a buffer whose end is not there: what is said to be read is right */
	munmap(buffer + page, page);
	for (size_t before = 1; before <= PLACES; before++) {
		char *to = buffer + page - before;
		ssize_t n;

		memset(buffer, 0, page);
		n = pread(fd, to, 2 * PLACES, 0);
		ends += n > 0 && n <= (ssize_t)before && !memcmp(to, file, n);
	}
	ktap_eq(ends, PLACES, "short reads are right as far as they go");
	return ktap_end();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page frames, memory errors and page faults, for tests in C. */
#ifndef PAGES_H
#define PAGES_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

/* Bytes of the largest page that a kernel of these guests has; getpagesize() says what it is here. */
#define PAGE_ROOM	65536

/**
 * page_frame - tell which page of memory is mapped at an address
 * @address: in this process; it is not touched
 *
 * The entries of pagemap are those of Documentation/admin-guide/mm/pagemap.rst:
 * bit 63 says that a page is present, bits 0 to 54 are its frame.
 *
 * Return: the page frame number, or 0 if no page is mapped there.
 */
static inline uint64_t page_frame(const volatile void *address)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	off_t at = (uintptr_t)address / getpagesize() * sizeof(uint64_t);
	uint64_t entry = 0;

	if (pread(fd, &entry, sizeof(entry), at) != sizeof(entry))
		entry = 0;
	close(fd);
	return entry >> 63 ? entry & ((1ULL << 55) - 1) : 0;
}

/* The page frame of the first page of a file that can be mapped, or 0 */
static inline uint64_t file_frame(const char *path)
{
	int fd = open(path, O_RDONLY);
	volatile char *p = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, fd, 0);
	uint64_t frame = 0;

	if (p != MAP_FAILED) {
		(void)p[0];
		frame = page_frame(p);
		munmap((void *)p, getpagesize());
	}
	close(fd);
	return frame;
}

/* Where errors are reported; debugfs has to be mounted. */
static inline int page_errors_open(void)
{
	return open("/sys/kernel/debug/hwpoison/corrupt-pfn", O_WRONLY);
}

/**
 * page_error - report an error in a page of memory, and say nothing
 * @fd: of page_errors_open()
 * @frame: page frame number
 *
 * Return: 0 if the kernel dealt with it, or errno.
 */
static inline int page_error(int fd, uint64_t frame)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%#llx", (unsigned long long)frame);

	return write(fd, text, len) == len ? 0 : errno;
}

/**
 * page_poison - report an error in a page of memory, as the hardware would
 * @frame: page frame number; debugfs has to be mounted
 *
 * Return: whether the kernel took it and dealt with it; if not, errno says why, and a
 * remark of KTAP.
 */
static inline bool page_poison(uint64_t frame)
{
	int fd = page_errors_open(), error = page_error(fd, frame);

	if (error)
		printf("# memory error at page frame %#llx: %s\n", (unsigned long long)frame, strerror(error));
	close(fd);
	errno = error;
	return !error;
}

/**
 * page_faults - count page faults
 *
 * Return: how many this process has had, with and without I/O.
 */
static inline long page_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/** resident - count the pages of a mapping that are in memory, or -1 with errno */
static inline int resident(volatile char *p, size_t size)
{
	size_t pages = (size + getpagesize() - 1) / getpagesize();
	unsigned char *vec = malloc(pages);
	int n = 0;

	if (!vec || mincore((void *)p, size, vec))
		n = -1;
	for (size_t i = 0; n >= 0 && i < pages; i++)
		n += vec[i] & 1;
	free(vec);
	return n;
}

/**
 * page_in_pipe - put a page of a file into a pipe, and keep nothing else of the file
 * @path: the file
 * @n: number of the page
 * @bytes: gets what it holds; has room for a page
 *
 * Return: the end of the pipe to read from, or -1.
 */
static inline int page_in_pipe(const char *path, int n, char *bytes)
{
	size_t size = getpagesize();
	int fd = open(path, O_RDONLY), ends[2];
	char *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, n * size);
	struct iovec iov = { .iov_base = p, .iov_len = size };

	if (p == MAP_FAILED || pread(fd, bytes, size, n * size) <= 0 || pipe(ends) ||
	    vmsplice(ends[1], &iov, 1, 0) != (ssize_t)size)
		return -1;
	munmap(p, size);
	close(fd);
	close(ends[1]);
	return ends[0];
}

#endif

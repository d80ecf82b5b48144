// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * meddle - change a file in the moment in which a program reads it
 *
 * usage: LD_PRELOAD=meddle.so MEDDLE_FILE=PATH MEDDLE_HOW=HOW PROGRAM...
 *
 *   PATH  absolute path, without symlinks
 *   HOW   truncate  to one byte, before the first read
 *         append    one byte, before the first read
 *         rewrite   another first byte, before the first read
 *         unlink    remove it before it is opened
 *
 * The change happens once.  Reading goes on afterwards.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_flag done = ATOMIC_FLAG_INIT;

static const char *how(const char *path)
{
	const char *file = getenv("MEDDLE_FILE"), *h = getenv("MEDDLE_HOW");

	return file && h && path && !strcmp(path, file) ? h : "";
}

static void before_read(int fd)
{
	char link[64], path[4096];
	ssize_t n;
	const char *h;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return;
	path[n] = 0;
	h = how(path);
	if (!*h || !strcmp(h, "unlink") || atomic_flag_test_and_set(&done))
		return;
	usleep(20000);		/* more than a tick of file times */
	if (!strcmp(h, "truncate")) {
		if (truncate(path, 1))
			abort();
	} else {
		FILE *f = fopen(path, !strcmp(h, "append") ? "a" : "r+");

		if (!f || fputc('!', f) == EOF || fclose(f))
			abort();
	}
}

#define NEXT(name) static __typeof__(name) *next; \
	if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t read(int fd, void *buf, size_t n)
{
	NEXT(read);
	before_read(fd);
	return next(fd, buf, n);
}

ssize_t pread(int fd, void *buf, size_t n, off_t off)
{
	NEXT(pread);
	before_read(fd);
	return next(fd, buf, n, off);
}

ssize_t pread64(int fd, void *buf, size_t n, off64_t off)
{
	NEXT(pread64);
	before_read(fd);
	return next(fd, buf, n, off);
}

ssize_t copy_file_range(int in, off64_t *ioff, int out, off64_t *ooff, size_t n, unsigned int f)
{
	NEXT(copy_file_range);
	before_read(in);
	return next(in, ioff, out, ooff, n, f);
}

static int open_it(int (*next)(const char *, int, ...), const char *path, int flags, mode_t mode)
{
	if (!strcmp(how(path), "unlink") && !atomic_flag_test_and_set(&done) && unlink(path))
		abort();
	return next(path, flags, mode);
}

#define MODE mode_t mode = 0; va_list ap; va_start(ap, flags); \
	if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) { mode = va_arg(ap, mode_t); } \
	va_end(ap)

int open(const char *path, int flags, ...)
{
	MODE;
	NEXT(open);
	return open_it(next, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	MODE;
	NEXT(open64);
	return open_it(next, path, flags, mode);
}

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
 *         link      another name, before the first read
 *         unlink    remove it before it is opened
 *         replace   rename $MEDDLE_OTHER to it before it is opened
 *         shrink    to nothing, before it is opened
 *         reuse     when the directory PATH is opened, remove $MEDDLE_OTHER and make files
 *                   in PATH, until one has its inode number; a file "reused" says so
 *         detour    before the symlink PATH is read, replace its directory by a symlink
 *                   to $MEDDLE_OTHER
 *         signal    SIGTERM, after it has been created
 *
 * The change happens once.  Reading goes on afterwards.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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
	char link[64], path[4096], link_name[4096 + 8];
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
	} else if (!strcmp(h, "link")) {
		strcat(strcpy(link_name, path), ".link");
		if (linkat(AT_FDCWD, path, AT_FDCWD, link_name, 0))
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

static void reuse(const char *dir, const char *other)
{
	char path[4096 + 16];
	struct stat st, now = {};
	int i, fd;

	usleep(300000);		/* nobody has the file open any more */
	if (stat(other, &st) || unlink(other))
		abort();
	for (i = 0; i < 500 && now.st_ino != st.st_ino; ++i) {
		snprintf(path, sizeof(path), "%s/new%d", dir, i);
		fd = creat(path, 0600);
		if (fd < 0 || write(fd, "new\n", 4) != 4 || fstat(fd, &now) || close(fd))
			abort();
	}
	snprintf(path, sizeof(path), "%s.reused", other);
	if (now.st_ino == st.st_ino && close(creat(path, 0600)))
		abort();
}

static void before_open(const char *path)
{
	const char *h = how(path), *other = getenv("MEDDLE_OTHER");
	char buf[4096 + 8], old[4096 + 8];

	if ((strcmp(h, "unlink") && strcmp(h, "replace") && strcmp(h, "shrink") && strcmp(h, "reuse") &&
	     strcmp(h, "detour")) || atomic_flag_test_and_set(&done))
		return;
	if (!strcmp(h, "unlink") && unlink(path))
		abort();
	if (!strcmp(h, "replace") && rename(other, path))
		abort();
	if (!strcmp(h, "shrink") && truncate(path, 0))
		abort();
	if (!strcmp(h, "reuse"))
		reuse(path, other);
	if (!strcmp(h, "detour")) {
		*strrchr(strcpy(buf, path), '/') = 0;
		snprintf(old, sizeof(old), "%.4090s.old", buf);
		if (rename(buf, old) || symlink(other, buf))
			abort();
	}
}

static int open_it(int (*next)(const char *, int, ...), const char *path, int flags, mode_t mode)
{
	int fd;

	before_open(path);
	fd = next(path, flags, mode);
	if (fd >= 0 && flags & O_CREAT && !strcmp(how(path), "signal") && !atomic_flag_test_and_set(&done))
		kill(getpid(), SIGTERM);
	return fd;
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

static void before_openat(int dir, const char *path)
{
	char link[64], whole[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = syscall(SYS_readlinkat, AT_FDCWD, link, whole, sizeof(whole) - 1);
	if (n > 0) {
		snprintf(whole + n, sizeof(whole) - n, "/%s", path);
		before_open(whole);
	}
}

int openat(int dir, const char *path, int flags, ...)
{
	MODE;
	NEXT(openat);
	before_openat(dir, path);
	return next(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
	MODE;
	NEXT(openat64);
	before_openat(dir, path);
	return next(dir, path, flags, mode);
}

ssize_t readlink(const char *path, char *buf, size_t n)
{
	NEXT(readlink);
	before_open(path);
	return next(path, buf, n);
}

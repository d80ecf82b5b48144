// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * failnth - let one call of a program fail
 *
 * usage: LD_PRELOAD=failnth.so FAILNTH=N PROGRAM...
 *
 * The Nth pwrite(2), from 0, fails with ENOSPC.  With FAILREAD=N the Nth
 * read(2) is interrupted.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t off)
{
	static ssize_t (*next)(int, const void *, size_t, off64_t);
	static atomic_long calls;
	const char *nth = getenv("FAILNTH");

	if (!next)
		next = (__typeof__(next))dlsym(RTLD_NEXT, "pwrite64");
	if (nth && atomic_fetch_add(&calls, 1) == atol(nth)) {
		errno = ENOSPC;
		return -1;
	}
	return next(fd, buf, n, off);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t off)
{
	return pwrite64(fd, buf, n, off);
}

ssize_t read(int fd, void *buf, size_t n)
{
	static ssize_t (*next)(int, void *, size_t);
	static atomic_long calls;
	const char *nth = getenv("FAILREAD");

	if (!next)
		next = (__typeof__(next))dlsym(RTLD_NEXT, "read");
	if (nth && atomic_fetch_add(&calls, 1) == atol(nth)) {
		errno = EINTR;
		return -1;
	}
	return next(fd, buf, n);
}

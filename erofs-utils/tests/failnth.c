// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * failnth - let one call of a program fail
 *
 * usage: LD_PRELOAD=failnth.so FAILNTH=N PROGRAM...
 *
 * The Nth pwrite(2), from 0, fails with ENOSPC.  With FAILREAD=N the Nth
 * read(2) is interrupted, with FAILCLOSE=N the Nth close(2) of a regular file
 * that can be written to fails with EDQUOT.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* Is this call, which is counted, the one that a variable of the environment asks for? */
static bool is_nth(const char *variable, atomic_long *calls)
{
	const char *nth = getenv(variable);

	return nth && atomic_fetch_add(calls, 1) == atol(nth);
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t off)
{
	static ssize_t (*next)(int, const void *, size_t, off64_t);
	static atomic_long calls;

	if (!next)
		next = (__typeof__(next))dlsym(RTLD_NEXT, "pwrite64");
	if (is_nth("FAILNTH", &calls)) {
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

	if (!next)
		next = (__typeof__(next))dlsym(RTLD_NEXT, "read");
	if (is_nth("FAILREAD", &calls)) {
		errno = EINTR;
		return -1;
	}
	return next(fd, buf, n);
}

int close(int fd)
{
	static int (*next)(int);
	static atomic_long calls;
	struct stat st;
	int mode = fcntl(fd, F_GETFL) & O_ACCMODE, ret;

	if (!next)
		next = (__typeof__(next))dlsym(RTLD_NEXT, "close");
	if (mode == O_RDONLY || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return next(fd);
	ret = next(fd);
	if (is_nth("FAILCLOSE", &calls)) {
		errno = EDQUOT;
		return -1;
	}
	return ret;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * failnth - let one call of a program fail
 *
 * usage: LD_PRELOAD=failnth.so FAILNTH=N PROGRAM...
 *
 * The Nth pwrite(2), from 0, fails with ENOSPC.  With FAILREAD=N the Nth
 * read(2) is interrupted, with FAILCLOSE=N the Nth close(2) of a regular file
 * that can be written to fails with EDQUOT.  With FAILALLOC=N there is no memory
 * for the Nth malloc(3), calloc(3), realloc(3) or strdup(3) of the program itself,
 * not of its libraries, with FAILPREAD=N the Nth pread(2) fails with EIO.
 * It is said to stderr when the time has come.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* Is this call, which is counted, the one that a variable of the environment asks for? */
static bool is_nth(const char *variable, atomic_long *calls)
{
	static const char said[] = "failnth: now\n";
	const char *nth = getenv(variable);

	if (!nth || atomic_fetch_add(calls, 1) != atol(nth))
		return false;
	if (write(STDERR_FILENO, said, sizeof(said) - 1) < 0)
		abort();
	return true;
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

ssize_t pread64(int fd, void *buf, size_t n, off64_t off)
{
	static ssize_t (*next)(int, void *, size_t, off64_t);
	static atomic_long calls;

	if (!next)
		next = (__typeof__(next))dlsym(RTLD_NEXT, "pread64");
	if (is_nth("FAILPREAD", &calls)) {
		errno = EIO;
		return -1;
	}
	return next(fd, buf, n, off);
}

ssize_t pread(int fd, void *buf, size_t n, off_t off)
{
	return pread64(fd, buf, n, off);
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

/* glibc's own, since dlsym() allocates memory */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *ptr, size_t size);

static ElfW(Addr) program_start, program_end;

/* The program is the first of all that is loaded. */
static int find_program(struct dl_phdr_info *info, size_t size, void *data)
{
	ElfW(Addr) start = info->dlpi_addr, end;
	int i;

	for (i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type != PT_LOAD)
			continue;
		end = start + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
		if (end > program_end)
			program_end = end;
	}
	program_start = start;
	return 1;
}

/* Is there no memory for one who has called from @caller? */
static bool no_memory(const void *caller)
{
	static atomic_long calls;

	if (!program_end)
		dl_iterate_phdr(find_program, NULL);
	if ((ElfW(Addr))caller < program_start || (ElfW(Addr))caller >= program_end ||
	    !is_nth("FAILALLOC", &calls))
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return no_memory(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return no_memory(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *ptr, size_t size)
{
	return no_memory(__builtin_return_address(0)) ? NULL : __libc_realloc(ptr, size);
}

char *strdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = no_memory(__builtin_return_address(0)) ? NULL : __libc_malloc(size);

	return copy ? memcpy(copy, s, size) : NULL;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kill-on-pread.so - for LD_PRELOAD: make rare events happen at a known time
 *
 * At the third pread() of the program (when hostpages has counted one process
 * at least, and not the last) the process KILL_ON_PREAD is killed and waited
 * for.  With NO_CACHESTAT set, the kernel looks as old as one without
 * cachestat(2), and with NO_PAGEMAP_SCAN as one without that ioctl.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/ioctl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

/* cachestat(2), and PAGEMAP_SCAN with its argument of 96 bytes. */
#define CACHESTAT	451
#define PAGEMAP_SCAN	_IOWR('f', 16, char[96])

/* Killed is not gone: its memory is, once its list of mappings is empty. */
static void wait_until_gone(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	for (int i = 0; i < 2000; i++) {
		FILE *f = fopen(path, "r");
		int c = f ? fgetc(f) : EOF;

		if (f)
			fclose(f);
		if (c == EOF)
			return;
		usleep(1000);
	}
	abort();
}

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
	ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
	static int calls;
	const char *victim = getenv("KILL_ON_PREAD");

	if (victim && ++calls == 3) {
		kill(atoi(victim), SIGKILL);
		wait_until_gone(atoi(victim));
	}
	return real(fd, buf, n, at);
}

int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (getenv("NO_PAGEMAP_SCAN") && request == PAGEMAP_SCAN) {
		errno = ENOTTY;
		return -1;
	}
	return real(fd, request, arg);
}

long syscall(long number, ...)
{
	long (*real)(long, ...) = dlsym(RTLD_NEXT, "syscall");
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (getenv("NO_CACHESTAT") && number == CACHESTAT) {
		errno = ENOSYS;
		return -1;
	}
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

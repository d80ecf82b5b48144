/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tests in C ask the system for, and tell it: files, time, caches, the kernel's log. */
#ifndef SYSTEM_H
#define SYSTEM_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/** seconds_now - seconds of a clock that only goes forward */
static inline double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/**
 * number_in - read a file that holds a number, as those of sysfs do
 * @fmt: its path, as for printf
 *
 * Return: the number, or -1 if there is no such file.
 */
__attribute__((format(printf, 1, 2)))
static inline long number_in(const char *fmt, ...)
{
	char path[256];
	long n = -1;
	FILE *file;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	file = fopen(path, "r");
	if (file && fscanf(file, "%ld", &n) != 1)
		n = -1;
	if (file)
		fclose(file);
	return n;
}

/** write_to - write to a file that is there; false with errno if that fails */
static inline bool write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND), error;
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return done;
}

/** pages_of - how many pages have that many bytes of a file */
static inline int pages_of(long bytes)
{
	return (bytes + getpagesize() - 1) / getpagesize();
}

/** drop_caches - "1": page cache, "2": dentries and inodes, "3": both */
static inline void drop_caches(const char *what)
{
	if (!write_to("/proc/sys/vm/drop_caches", what))
		perror("drop_caches");
}

/** drop_inodes - reclaim those that nobody uses: dentries, then their inodes, then those that have lost their DAX entries */
static inline void drop_inodes(void)
{
	for (int i = 0; i < 3; i++)
		drop_caches("2");
}

/** die_with - in a child: be killed when its parent dies, also if that was before; @parent is its getpid() */
static inline void die_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(0);
}

/** is_dax - does statx say that a file is accessed by DAX? */
static inline bool is_dax(const char *path)
{
	struct statx stx;

	return !statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &stx) && stx.stx_attributes & STATX_ATTR_DAX;
}

/** entries_of - read a folder. Return: how many entries it has, or -errno */
static inline int entries_of(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	if (!dir)
		return -errno;
	errno = 0;
	while (readdir(dir))
		n++;
	n = errno ? -errno : n;
	closedir(dir);
	return n;
}

/** place_of - where on its device the first byte of a file is, by FIEMAP, or -1 */
static inline int64_t place_of(const char *path)
{
	struct { struct fiemap map; struct fiemap_extent extent; } f = {
		.map = { .fm_length = ~0ULL, .fm_extent_count = 1 },
	};
	int fd = open(path, O_RDONLY);
	int rc = ioctl(fd, FS_IOC_FIEMAP, &f);

	close(fd);
	return rc || !f.map.fm_mapped_extents ? -1 : (int64_t)f.extent.fe_physical;
}

/** read_extents - have the metadata read that says where all of a file is, and none of its data */
static inline bool read_extents(const char *path)
{
	struct fiemap map = { .fm_length = ~0ULL };
	int fd = open(path, O_RDONLY);
	int rc = ioctl(fd, FS_IOC_FIEMAP, &map);

	close(fd);
	return !rc;
}

/** sums_ok - are the files of a folder those of its SHA256SUMS? */
static inline bool sums_ok(const char *dir)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "cd %s && sha256sum -c SHA256SUMS > /tmp/sums || { grep -v OK /tmp/sums | sed 's/^/# /'; exit 1; }", dir);
	return !system(command);
}

/** times_said - how often is @text in the kernel's log? */
static inline int times_said(const char *text)
{
	static char log[1 << 20];
	int n = klogctl(3 /* read all */, log, sizeof(log) - 1), times = 0;

	log[n < 0 ? 0 : n] = '\0';
	for (char *at = log; (at = strstr(at, text)); at++)
		times++;
	return times;
}

/** wait_for_file - wait until a file is there, @seconds at most */
static inline void wait_for_file(const char *path, int seconds)
{
	for (int tries = 0; tries < 100 * seconds && access(path, F_OK); tries++)
		usleep(10000);
}

/** kernel_is_content - is there no complaint in the kernel's log? */
static inline bool kernel_is_content(void)
{
	return !system("! dmesg | grep -E 'Busy inodes|BUG|WARN|blocked for more' | sed 's/^/# /' | grep .");
}

#endif

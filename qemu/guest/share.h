/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounts that share page cache, and what they cost, for tests in C. */
#ifndef SHARE_H
#define SHARE_H

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system.h"

#define SHARE_OPTIONS	"inode_share,domain_id=d"

/** share_mount - mount an image in the domain "d"; @more: further options, or NULL */
static inline bool share_mount(const char *source, const char *dir, const char *more)
{
	char options[256];

	mkdir(dir, 0755);
	snprintf(options, sizeof(options), SHARE_OPTIONS "%s%s", more ? "," : "", more ? more : "");
	if (!mount(source, dir, "erofs", MS_RDONLY, options))
		return true;
	printf("# mount %s on %s: %s\n", source, dir, strerror(errno));
	return false;
}

/** share_plain - mount an image that does not share */
static inline bool share_plain(const char *source, const char *dir)
{
	mkdir(dir, 0755);
	if (!mount(source, dir, "erofs", MS_RDONLY, NULL))
		return true;
	printf("# mount %s on %s: %s\n", source, dir, strerror(errno));
	return false;
}

/** share_number - a number in a file; the first, or after @skip others; -1 if there is none */
static inline long long share_number(const char *path, int skip)
{
	FILE *file = fopen(path, "r");
	long long n = -1;

	if (!file)
		return -1;
	do {
		if (fscanf(file, "%lld", &n) != 1)
			n = -1;
	} while (skip--);
	fclose(file);
	return n;
}

/** share_counter_path - the file of a counter in sysfs, of a mount of @device or with NULL of all */
static inline bool share_counter_path(const char *device, const char *name, char path[PATH_MAX])
{
	char real[PATH_MAX] = "";

	if (device && !realpath(device, real))
		return false;
	snprintf(path, PATH_MAX, "/sys/fs/erofs/%s%sinode_share/%s", device ? basename(real) : "",
		 device ? "/" : "", name);
	return true;
}

/** share_counter - a counter in sysfs, as of share_counter_path(); -1 if there is none */
static inline long long share_counter(const char *device, const char *name)
{
	char path[PATH_MAX];

	return share_counter_path(device, name, path) ? share_number(path, 0) : -1;
}

/** share_settled - a work frees what nobody has any more: wait for it, so many seconds at most */
static inline void share_settled(int seconds)
{
	for (int tries = 0; tries < 100 * seconds && share_counter(NULL, "cached_bytes"); tries++)
		usleep(10000);
}

/** share_disk_reads - bytes that have been read from a disk */
static inline long long share_disk_reads(const char *device)
{
	char path[PATH_MAX], real[PATH_MAX];
	long long sectors = -1;

	if (realpath(device, real)) {
		snprintf(path, sizeof(path), "/sys/class/block/%s/stat", basename(real));
		sectors = share_number(path, 2);
	}
	return sectors < 0 ? -1 : sectors * 512;
}

/** share_unplug - take a virtio disk out of the machine */
static inline bool share_unplug(const char *device)
{
	char real[PATH_MAX], path[PATH_MAX + 64];

	if (!realpath(device, real))
		return false;
	snprintf(path, sizeof(path), "/sys/class/block/%s/device/../remove", basename(real));
	return write_to(path, "1");
}

/** share_open - open a file of a mount */
static inline int share_open(const char *dir, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/** share_map - map a file of a mount; NULL if that fails */
static inline volatile char *share_map(const char *dir, const char *name, size_t size)
{
	int fd = share_open(dir, name);
	void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/** share_cached - pages of a file that are in page cache; opens it; -1 on error */
static inline long share_cached(const char *dir, const char *name)
{
	struct { uint64_t off, len; } range = { 0, 0 };
	struct { uint64_t cache, dirty, writeback, evicted, recently_evicted; } stat;
	int fd = share_open(dir, name);
	long n = fd < 0 || syscall(451, fd, &range, &stat, 0) ? -1 : (long)stat.cache;

	close(fd);
	return n;
}

/** share_read - read a whole file of a mount anew. Return: bytes read, or -1 with errno */
static inline ssize_t share_read(const char *dir, const char *name, char *buffer, size_t size)
{
	int fd = share_open(dir, name), error = errno;
	ssize_t n = -1, got = 0;

	while (fd >= 0 && (n = pread(fd, buffer + got, size - got, got)) > 0)
		got += n;
	if (n < 0 && fd >= 0)
		error = errno;
	close(fd);
	errno = error;
	return n < 0 ? -1 : got;
}

/** share_read_at - read a byte of a file, and no more than its page. Return: 0, or an errno */
static inline int share_read_at(const char *dir, const char *name, off_t at)
{
	int fd = share_open(dir, name), error;
	char c;

	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	errno = EIO;	/* it may be shorter */
	error = pread(fd, &c, 1, at) == 1 ? 0 : errno;
	close(fd);
	return error;
}

/** share_unreadable - for share_within(): 0 if a file cannot be read */
static inline int share_unreadable(const char *dir, const char *name)
{
	return !share_read_at(dir, name, 0);
}

/* what the last share_end() has waited */
static double share_spent;

/**
 * share_end - wait for a process
 * @pid: child
 * @limit: so many seconds
 *
 * A moment in which the host runs others is not counted: of the time between two looks
 * at the process, 20 ms at most are.  Give the guest two CPUs, so that the one who
 * looks does not wait for the one who is looked at.
 *
 * Return: its status, or -1 if it has not ended.
 */
static inline int share_end(pid_t pid, double limit)
{
	double last = seconds_now(), now, step;
	int status;

	share_spent = 0;
	do {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(2000);
		now = seconds_now();
		step = now - last;
		share_spent += step < 0.02 ? step : 0.02;
		last = now;
	} while (share_spent < limit);
	return -1;
}

/** share_kill - kill a process. Return: whether it is gone within so many seconds */
static inline bool share_kill(pid_t pid, double limit)
{
	kill(pid, SIGKILL);
	return share_end(pid, limit) != -1;
}

/**
 * share_kill_all - kill @n processes
 *
 * They end side by side, so the one that is looked at can be the last: 20 ms for each.
 *
 * Return: how many are gone, within 5 seconds more.
 */
static inline int share_kill_all(const pid_t *pids, int n)
{
	int gone = 0;

	for (int i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < n; i++)
		gone += share_end(pids[i], 5 + n * 0.02) != -1;
	return gone;
}

/**
 * share_within - do something in a process of its own, for which it has a time limit
 * @limit: in seconds
 * @call: returns 0 if all is well, or what the remark shall say
 * @dir, @name: for @call, no NULL
 *
 * Return: whether it came to its end in time, and well.
 */
static inline bool share_within(double limit, int (*call)(const char *, const char *), const char *dir,
				const char *name)
{
	pid_t pid = fork();
	double spent;
	int status;

	if (!pid)
		_exit(call(dir, name));
	status = share_end(pid, limit);
	spent = share_spent;
	if (!status)
		return true;
	if (status == -1)
		printf("# %s %s: not done after %.1f s%s\n", dir, name, spent,
		       share_kill(pid, 1) ? "" : ", and it cannot be killed");
	else
		printf("# %s %s: status %#x after %.1f s\n", dir, name, status, spent);
	share_spent = spent;
	return false;
}

/** share_umount - for share_within() */
static inline int share_umount(const char *dir, const char *unused)
{
	(void)unused;
	return umount(dir) ? errno : 0;
}

/** shared_inodes - shared inodes in use, and none that only wait in some CPU's list */
static inline long shared_inodes(void)
{
	const char *cache = "erofs_shared_inode";
	char line[256], name[64];
	long active = 0, n;
	FILE *file;

	usleep(200000);
	if (!write_to("/sys/kernel/slab/erofs_shared_inode/shrink", "1"))
		return -1;
	file = fopen("/proc/slabinfo", "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %ld", name, &n) == 2 && !strcmp(name, cache))
			active = n;
	if (file)
		fclose(file);
	return active;
}

#endif /* SHARE_H */

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walk an image on some backend, and note what each call gives, data or errno, so
 * that backends can be compared.
 */
#ifndef WALK_H
#define WALK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sigbus.h"

#define PAGE		4096
#define DEVICE_BYTES	(4 << 20)
/* of a walk: what a bad image can make endless ends here */
#define MAX_ENTRIES	400
#define MAX_DEPTH	8
#define MAX_READ	(96 << 10)

struct backend {
	const char *name, *device, *options;
	char *log;		/* what each call gave, a line each */
	size_t length;
};

#define LOG_BYTES	(4 << 20)
static struct backend *now;	/* the backend that is being walked */
static int entries;

__attribute__((format(printf, 1, 2)))
static inline void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (now->length < LOG_BYTES - 8192)
		now->length += vsnprintf(now->log + now->length, 8192, fmt, ap);
	now->log[now->length] = '\0';
	va_end(ap);
}

static uint64_t hash(const void *data, size_t n, uint64_t h)
{
	uint64_t word;

	for (; n >= 8; n -= 8, data = (const char *)data + 8) {
		memcpy(&word, data, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15;
		h ^= h >> 29;
	}
	word = 0;
	memcpy(&word, data, n);
	return (h ^ word) * 0x9e3779b97f4a7c15;
}

/*
 * Does a part of a file lie behind the end of the device?  A block device gives
 * zeroes for that where one read goes across the end, and an error elsewhere;
 * memory gives an error for each page.
 */
static bool is_outside(int fd)
{
	struct { struct fiemap map; struct fiemap_extent extent[64]; } f = {
		.map = { .fm_length = ~0ULL, .fm_extent_count = 64 },
	};

	if (ioctl(fd, FS_IOC_FIEMAP, &f))
		return true;
	for (unsigned int i = 0; i < f.map.fm_mapped_extents; i++)
		if (f.extent[i].fe_physical + f.extent[i].fe_length > DEVICE_BYTES ||
		    f.extent[i].fe_length > DEVICE_BYTES)
			return true;
	return f.map.fm_mapped_extents == 64;
}

static void read_file(const char *path, const struct stat *st)
{
	static char buf[MAX_READ];
	const off_t size = st->st_size;
	const off_t places[] = { 0, (size - 1) & -PAGE };
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	volatile char *p;
	bool outside;

	if (fd < 0) {
		note("%s open %d\n", path, errno);
		return;
	}
	outside = is_outside(fd);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places) && (!i || places[i]); i++) {
		ssize_t n = pread(fd, buf, sizeof(buf), places[i]);

		/* the page cache makes EIO of all errors */
		if (!outside)
			note("%s read %zu %ld %llx\n", path, i, (long)n,
			     n > 0 ? (unsigned long long)hash(buf, n, 1) : 0);
	}
	note("%s data %lld hole %lld\n", path, (long long)lseek(fd, 0, SEEK_DATA), (long long)lseek(fd, 0, SEEK_HOLE));
	for (size_t i = 0; size > 0 && i < sizeof(places) / sizeof(*places) && (!i || places[i]); i++) {
		p = mmap(NULL, PAGE, PROT_READ, i & 1 ? MAP_PRIVATE : MAP_SHARED, fd, places[i]);
		if (p == MAP_FAILED) {
			note("%s mmap %zu %d\n", path, i, errno);
		} else {
			unsigned long long sum = 0;
			bool lost = sigbus_came();

			if (!lost)
				sum = hash((void *)p, PAGE, 1);
			if (!outside && lost)
				note("%s map %zu SIGBUS\n", path, i);
			else if (!outside)
				note("%s map %zu %llx\n", path, i, sum);
			munmap((void *)p, PAGE);
		}
	}
	close(fd);
}

static void read_xattrs(const char *path)
{
	static char list[65536], value[65536];
	ssize_t n = llistxattr(path, list, sizeof(list)), v;

	note("%s xattrs %ld %llx\n", path, n < 0 ? (long)-errno : n, n > 0 ? (unsigned long long)hash(list, n, 1) : 0);
	for (char *name = list; n > 0 && name < list + n; name += strlen(name) + 1) {
		v = lgetxattr(path, name, value, sizeof(value));
		note("%s xattr %s %ld %llx\n", path, name, v < 0 ? (long)-errno : v,
		     v > 0 ? (unsigned long long)hash(value, v, 1) : 0);
	}
	v = lgetxattr(path, "user.none", value, sizeof(value));
	note("%s xattr none %ld\n", path, v < 0 ? (long)-errno : v);
}

static void walk(const char *path, int depth)
{
	char child[8192], target[PAGE];
	struct dirent *de;
	struct stat st;
	ssize_t n;
	DIR *dir;

	if (++entries > MAX_ENTRIES)
		return;
	if (lstat(path, &st)) {
		note("%s stat %d\n", path, errno);
		return;
	}
	note("%s %llu %o %lu %u %u %llx %lld %lld %lld\n", path, (unsigned long long)st.st_ino, st.st_mode,
	     (unsigned long)st.st_nlink, st.st_uid, st.st_gid, (unsigned long long)st.st_rdev,
	     (long long)st.st_size, (long long)st.st_mtime, (long long)st.st_blocks);
	read_xattrs(path);
	if (S_ISREG(st.st_mode)) {
		read_file(path, &st);
	} else if (S_ISLNK(st.st_mode)) {
		n = readlink(path, target, sizeof(target));
		note("%s link %ld %llx\n", path, n < 0 ? (long)-errno : n,
		     n > 0 ? (unsigned long long)hash(target, n, 1) : 0);
	} else if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH) {
		snprintf(child, sizeof(child), "%s/none", path);
		note("%s %d\n", child, access(child, F_OK) ? errno : 0);
		dir = opendir(path);
		if (!dir) {
			note("%s opendir %d\n", path, errno);
			return;
		}
		while (errno = 0, (de = readdir(dir))) {
			note("%s/%s %llu %d\n", path, de->d_name, (unsigned long long)de->d_ino, de->d_type);
			if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
				continue;
			if ((size_t)snprintf(child, sizeof(child), "%s/%s", path, de->d_name) < PAGE)
				walk(child, depth + 1);
			if (entries > MAX_ENTRIES)
				break;
		}
		note("%s readdir %d\n", path, errno);
		closedir(dir);
	}
}

static void try_backend(struct backend *b)
{
	now = b;
	b->length = 0;
	entries = 0;
	if (mount(b->device, "/mnt", "erofs", MS_RDONLY, b->options)) {
		note("mount %d\n", errno);
		return;
	}
	walk("/mnt", 0);
	if (umount("/mnt"))
		note("umount %d\n", errno);
}

#endif

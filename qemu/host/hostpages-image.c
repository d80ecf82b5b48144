// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostpages: the image file - which one it is, and what the page cache has
 * of it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "hostpages.h"

#ifndef STATX_ATTR_DAX
#define STATX_ATTR_DAX 0x00200000
#endif

/* cachestat(2), Linux 6.5; one number on every architecture. */
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/* As in the kernel's include/uapi/linux/mman.h. */
struct cachestat_range_arg {
	uint64_t off, len;
};

struct cachestat_result {
	uint64_t nr_cache, nr_dirty, nr_writeback, nr_evicted;
	uint64_t nr_recently_evicted;
};

/* How much of the file is asked for at a time where mincore() must serve. */
#define MINCORE_WINDOW (1ULL << 30)

/* The name that maps prints for @fd. */
static char *maps_name(int fd)
{
	char link[64], path[PATH_MAX + 1];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		hp_die("cannot read %s: %s; is /proc mounted?", link,
		       strerror(errno));
	path[len] = '\0';
	return hp_maps_escape(path);
}

/*
 * What maps prints for a file is the inode and superblock inside the kernel.
 * On overlayfs and btrfs stat() says something else.  So compare like with
 * like: map the file, untouched, and see what maps prints for that.
 */
static bool learn_ident(struct hp *hp)
{
	struct hp_image *img = &hp->img;
	size_t len = img->hugetlb ? (size_t)img->st.st_blksize : hp->page_bytes;
	void *p;
	int err;

	p = mmap(NULL, len, PROT_NONE, MAP_SHARED | MAP_NORESERVE, img->fd, 0);
	if (p == MAP_FAILED)
		return false;
	err = hp_map_ident(p, &img->ident);
	munmap(p, len);
	return err == 0;
}

static uint64_t image_bytes(const struct hp_image *img)
{
	uint64_t bytes;

	if (!S_ISBLK(img->st.st_mode))
		return img->st.st_size;
	if (!img->readable || ioctl(img->fd, BLKGETSIZE64, &bytes))
		hp_die("%s: the size of this block device is not to be had: it cannot be opened",
		       img->path);
	return bytes;
}

/*
 * Opened without access first: to look at what it is before a device or a
 * FIFO is disturbed, and because nothing more may be allowed.
 */
static void open_for_reading(struct hp *hp, int path_fd)
{
	struct hp_image *img = &hp->img;
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	img->fd = open(link, O_RDONLY | O_CLOEXEC);
	img->readable = img->fd >= 0;
	if (img->readable) {
		close(path_fd);
		return;
	}
	hp_note(hp, "%s cannot be opened for reading (%s): its page cache is not known",
		img->path, strerror(errno));
	img->fd = path_fd;
}

static void note_dax(struct hp *hp)
{
	struct statx stx;

	if (statx(hp->img.fd, "", AT_EMPTY_PATH, 0, &stx) == 0 &&
	    stx.stx_attributes & STATX_ATTR_DAX)
		hp_note(hp, "the image is in DAX memory: it has no page cache, and before Linux 6.15 its pages in private mappings look like private copies");
}

/**
 * hp_image_open() - find the image and learn what identifies it
 * @hp: gets @hp->img
 * @path: its name; if there is no such file any more, a mapped one that was
 *	deleted under that name is taken
 * @pids: processes in whose mappings to look for a deleted file
 * @nr: how many
 * @all: look in all processes
 *
 * Ends the program if there is no such image.
 */
void hp_image_open(struct hp *hp, const char *path, const pid_t *pids,
		   size_t nr, bool all)
{
	struct hp_image *img = &hp->img;
	struct statfs fs;
	int fd;

	img->path = path;
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		fd = hp_open_deleted(hp, pids, nr, all);
	if (fd < 0)
		hp_die("%s: %s", path, strerror(errno));
	if (fstat(fd, &img->st) || fstatfs(fd, &fs))
		hp_die("%s: %s", path, strerror(errno));
	if (!S_ISREG(img->st.st_mode) && !S_ISBLK(img->st.st_mode))
		hp_die("%s: neither a regular file nor a block device", path);

	img->hugetlb = fs.f_type == HUGETLBFS_MAGIC;
	img->name = maps_name(fd);
	open_for_reading(hp, fd);
	img->bytes = image_bytes(img);
	if (!img->readable || !learn_ident(hp))
		img->ident = (struct hp_ident){ major(img->st.st_dev),
						minor(img->st.st_dev),
						img->st.st_ino };
	img->ident_differs = img->ident.major != major(img->st.st_dev) ||
			     img->ident.minor != minor(img->st.st_dev) ||
			     img->ident.ino != img->st.st_ino;
	note_dax(hp);
}

/*
 * To who may not know, mincore() says that every page is in memory.  A page
 * after the end of the file never is, so that one tells.
 */
static bool mincore_is_honest(const struct hp *hp)
{
	uint64_t end = (hp->img.bytes + hp->page_bytes - 1) / hp->page_bytes *
		       hp->page_bytes;
	unsigned char there = 1;
	void *p;

	p = mmap(NULL, hp->page_bytes, PROT_NONE, MAP_SHARED, hp->img.fd, end);
	if (p == MAP_FAILED)
		return false;
	if (mincore(p, hp->page_bytes, &there))
		there = 1;
	munmap(p, hp->page_bytes);
	return !(there & 1);
}

static int cached_by_mincore(const struct hp *hp, uint64_t start,
			     uint64_t len, uint64_t *bytes)
{
	unsigned char *vec;
	uint64_t pages = 0;
	int err = 0;

	if (!mincore_is_honest(hp))
		return -EPERM;
	vec = hp_grow(NULL, MINCORE_WINDOW / hp->page_bytes, 1);
	for (uint64_t done = 0; done < len && !err; done += MINCORE_WINDOW) {
		uint64_t part = len - done < MINCORE_WINDOW ? len - done :
							      MINCORE_WINDOW;
		void *p = mmap(NULL, part, PROT_NONE, MAP_SHARED, hp->img.fd,
			       start + done);

		if (p == MAP_FAILED) {
			err = -errno;
			break;
		}
		if (mincore(p, part, vec))
			err = -errno;
		else
			for (uint64_t i = 0; i * hp->page_bytes < part; i++)
				pages += vec[i] & 1;
		munmap(p, part);
	}
	free(vec);
	*bytes = pages * hp->page_bytes;
	return err;
}

/**
 * hp_image_cached() - how much of the image the page cache holds
 * @hp: the run
 * @start: offset in the image, a multiple of the page size
 * @len: bytes from there; 0 means up to the end
 * @bytes: the answer, whole pages
 *
 * Return: 0, or a negative errno if the kernel does not tell us: -EPERM if
 * the file is neither ours nor writable for us.
 */
int hp_image_cached(const struct hp *hp, uint64_t start, uint64_t len,
		    uint64_t *bytes)
{
	struct cachestat_range_arg range = { start, len };
	struct cachestat_result res;

	if (!hp->img.readable)
		return -EACCES;
	if (hp->img.hugetlb) {
		/* No call tells which, but each page there is counted. */
		if (start || len)
			return -EOPNOTSUPP;
		*bytes = hp->img.st.st_blocks * 512ULL;
		return 0;
	}
	if (start >= hp->img.bytes) {
		*bytes = 0;
		return 0;
	}
	if (syscall(SYS_cachestat, hp->img.fd, &range, &res, 0) == 0) {
		*bytes = res.nr_cache * hp->page_bytes;
		return 0;
	}
	if (errno != ENOSYS)
		return -errno;
	if (!len || len > hp->img.bytes - start)
		len = hp->img.bytes - start;
	return cached_by_mincore(hp, start, len, bytes);
}

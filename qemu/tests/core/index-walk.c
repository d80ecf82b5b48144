// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: no read and no FIEMAP goes through all of the index of a compressed file
 * config: EROFS_FS_ZIP
 * image: walk crafted walk
 * device: blk:walk
 *
 * The index has 4 million clusters and one head.  Without "erofs: do not walk the
 * whole index for one extent" both take many seconds.
 */
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ktap.h"

#define PAGE	4096
#define LIMIT	1000	/* ms */

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(void)
{
	struct { struct fiemap head; struct fiemap_extent extent; } map = { 0 };
	struct stat st = { 0 };
	char page[PAGE];
	long start, took;
	int fd;

	ktap_begin();
	ktap_ok(!mount("/dev/harness/blk0", "/mnt", "erofs", MS_RDONLY, NULL), "mount the image");
	fd = open("/mnt/file", O_RDONLY);
	if (!ktap_ok(fd >= 0 && !fstat(fd, &st), "open the file of %lld bytes", (long long)st.st_size))
		return ktap_end();
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	start = now_ms();
	ktap_ok(ktap_is(pread(fd, page, PAGE, st.st_size - PAGE), <, 0), "its last page has no head");
	took = now_ms() - start;
	ktap_ok(took < LIMIT, "known after %ld ms", took);
	map.head.fm_length = PAGE;
	map.head.fm_extent_count = 1;
	start = now_ms();
	ktap_ok(ktap_is(ioctl(fd, FS_IOC_FIEMAP, &map), <, 0), "its first extent has no end");
	took = now_ms() - start;
	ktap_ok(took < LIMIT, "known after %ld ms", took);
	close(fd);
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

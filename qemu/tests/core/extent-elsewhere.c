// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: an extent that ends before what was asked for is refused, and takes no memory
 * config: EROFS_FS_ZIP_DEFLATE EROFS_FS_BACKED_BY_FILE
 * image: elsewhere crafted elsewhere
 * device: blk:elsewhere
 * timeout: 60
 *
 * /file has 64 clusters.  The first two are heads; each other one says that the
 * first is its head.  Without "erofs: refuse an extent that ends before what was
 * asked for" FIEMAP warns, and readahead fills all memory with pages of the file.
 */
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"
#include "share.h"
#include "system.h"

#define PAGE	4096

int main(void)
{
	struct { struct fiemap head; struct fiemap_extent extent; } map = { 0 };
	char page[PAGE];
	double start;
	long cached;
	int fd;

	ktap_begin();
	ktap_ok(!mount("/dev/harness/blk0", "/mnt", "erofs", MS_RDONLY, NULL), "mount the image");
	fd = share_open("/mnt", "file");
	if (!ktap_ok(fd >= 0, "open the file"))
		return ktap_end();
	start = seconds_now();
	ktap_ok(ktap_is(pread(fd, page, PAGE, 32 * PAGE), <, 0), "read a page of it");
	cached = share_cached("/mnt", "file");
	ktap_note("%.1f s, %ld pages", seconds_now() - start, cached);
	ktap_ok(ktap_is(cached, <=, 64), "no page behind its end");
	map.head.fm_start = 32 * PAGE;
	map.head.fm_length = PAGE;
	map.head.fm_extent_count = 1;
	ktap_ok(ktap_is(ioctl(fd, FS_IOC_FIEMAP, &map), <, 0), "there is no extent of it");
	close(fd);
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

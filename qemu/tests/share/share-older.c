// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: what an image with forged fingerprints has is not read through a mount that was there before
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base -Enoinline_data
 * image: forged share forged -Enoinline_data
 * device: blk:base
 * device: blk:forged
 *
 * Without "erofs: let the oldest mount feed shared files" on Linux 7.3, the mount
 * whose inode was read last serves all of them.
 */
#include "ktap.h"
#include "share.h"

#define SIZE 65536

static char before[SIZE], forged[SIZE], after[SIZE];

int main(void)
{
	int fd;

	ktap_begin();
	if (!ktap_ok(share_plain("/dev/harness/blk1", "/p") &&
		     share_read("/p", "f.65536", forged, SIZE) == SIZE && !umount("/p"), "what is forged, read alone"))
		return ktap_end();
	if (!ktap_ok(share_mount("/dev/harness/blk0", "/old", NULL) &&
		     share_mount("/dev/harness/blk1", "/young", NULL), "mount a true image, and then a forged one"))
		return ktap_end();
	fd = share_open("/old", "f.65536");
	ktap_ok(pread(fd, before, SIZE, 0) == SIZE && memcmp(before, forged, SIZE), "the older mount has bytes of its own");
	close(share_open("/young", "f.65536"));
	drop_caches("1");
	ktap_ok(pread(fd, after, SIZE, 0) == SIZE && !memcmp(before, after, SIZE),
		"it reads the same bytes when both have the file");
	close(fd);
	/* its inode is read anew, after that of the younger mount */
	fd = share_open("/young", "f.65536");
	drop_caches("3");
	ktap_ok(share_read("/old", "f.65536", after, SIZE) == SIZE && !memcmp(before, after, SIZE),
		"it does if its inode comes last, too");
	drop_caches("1");
	ktap_ok(share_read("/old", "f.65536", after, SIZE) == SIZE && !memcmp(before, after, SIZE),
		"and if its pages are dropped then");
	close(fd);
	ktap_ok(!umount("/young") && !umount("/old"), "unmount both");
	return ktap_end();
}

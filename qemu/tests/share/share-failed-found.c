// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a shared file that has failed is not found again by other mounts, whoever opens the one that failed
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: cut share cut
 * image: base share base
 * image: chunk share base --chunksize=4096
 * device: blk:cut
 * device: blk:cut.blob
 * device: blk:base
 * device: blk:chunk
 */
#include "ktap.h"
#include "share.h"

#define NAME	"f.3000000"

/* Return: 0 or errno. */
static int reads(const char *dir)
{
	int fd = share_open(dir, NAME), error;
	char c;

	error = pread(fd, &c, 1, 2900000) == 1 ? 0 : errno;
	close(fd);
	return error;
}

int main(void)
{
	ktap_begin();
	ktap_ok(share_mount("/dev/harness/blk0", "/a", "device=/dev/harness/blk1") &&
		share_mount("/dev/harness/blk2", "/b", NULL) && share_mount("/dev/harness/blk3", "/c", NULL),
		"mount three, of which the oldest lacks data");
	close(share_open("/a", NAME));
	ktap_eq(reads("/b"), EIO, "the oldest provides, so the second one gets the error");
	ktap_eq(reads("/b"), 0, "opened anew, it has its own copy");
	close(share_open("/a", NAME));
	ktap_eq(reads("/c"), 0, "somebody opens the oldest one's file, and the third one gets the second one's copy");
	ktap_ok(!umount("/c") && !umount("/b") && !umount("/a"), "unmount");
	return ktap_end();
}

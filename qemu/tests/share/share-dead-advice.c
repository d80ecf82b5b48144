// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: through a mount whose disk was unplugged nobody throws out, or reads ahead, what others use
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base
 * image: chunk share base --chunksize=4096
 * device: blk:base
 * device: blk:chunk
 */
#include "ktap.h"
#include "share.h"

#define NAME	"f.65536"
#define LARGE	"f.3000000"

int main(void)
{
	static char got[65536];
	int fd, large;
	long before;

	ktap_begin();
	ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL) && share_mount("/dev/harness/blk1", "/b", NULL), "mount two");
	fd = share_open("/a", NAME);
	large = share_open("/a", LARGE);
	close(share_open("/b", LARGE));
	ktap_ok(share_read("/b", NAME, got, sizeof(got)) == sizeof(got), "the younger one is read");
	ktap_ok(share_unplug("/dev/harness/blk0"), "unplug the older disk");
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	ktap_eq(share_cached("/b", NAME), pages_of(65536), "what the younger one has cached is still there");
	before = share_cached("/b", LARGE);
	posix_fadvise(large, 0, 0, POSIX_FADV_WILLNEED);
	readahead(large, 0, 1 << 20);
	usleep(200000);
	ktap_eq(share_cached("/b", LARGE), before, "nothing is read from its disk");
	close(fd);
	close(large);
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
	return ktap_end();
}

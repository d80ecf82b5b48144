// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that is lost while somebody has it in a pipe is read anew by others in the domain
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_ZIP MEMORY_FAILURE HWPOISON_INJECT PAGE_SIZE_4KB
 * image: plain share base -Enoinline_data
 * image: lz4 share base -zlz4
 * device: blk:plain
 * device: blk:lz4
 */
#include "lost.h"
#include "share.h"

static void one_feeds(const char *feeds, const char *what)
{
	const char *other = feeds[strlen(feeds) - 1] == '0' ? "/dev/harness/blk1" : "/dev/harness/blk0";

	ktap_ok(share_mount(feeds, "/a", NULL) && share_mount(other, "/b", NULL), "%s is mounted first", what);
	lost_pinned("/a/f.4096", "/b/f.4096");
	ktap_eq(share_counter(NULL, "failed"), 0, "no copy has failed");
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
}

int main(void)
{
	ktap_begin();
	one_feeds("/dev/harness/blk0", "a plain image");
	one_feeds("/dev/harness/blk1", "a compressed image");
	return ktap_end();
}

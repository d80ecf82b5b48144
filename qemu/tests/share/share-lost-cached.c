// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a lost page of a file that DAX cannot map is missed in no other page, if it is shared too
 * series: 4-share
 * config: EROFS_FS_RAMDAX EROFS_FS_PAGE_CACHE_SHARE MEMORY_FAILURE HWPOISON_INJECT PAGE_SIZE_4KB
 * image: base share base
 * device: ramdax:base
 */
#include "lost.h"
#include "share.h"

int main(void)
{
	ktap_begin();
	ktap_ok(share_mount("/dev/harness/ramdax0", "/a", NULL), "mount");
	lost_alone("/a/f.3000000", 3000000, 300);
	ktap_ok(!umount("/a"), "unmount");
	return ktap_end();
}

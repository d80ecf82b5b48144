// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that is lost while somebody has it in a pipe is read anew by others
 * config: EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP MEMORY_FAILURE HWPOISON_INJECT PAGE_SIZE_4KB
 * image: plain share base -Enoinline_data
 * image: lz4 share base -zlz4
 * image: box share box -Enoinline_data
 * device: blk:plain
 * device: blk:lz4
 * device: blk:box
 */
#include "lost.h"

int main(void)
{
	ktap_begin();
	ktap_ok(!mount("/dev/harness/blk0", "/mnt", "erofs", MS_RDONLY, NULL), "mount an image");
	lost_pinned("/mnt/f.4096", "/mnt/f.4096");
	ktap_ok(!umount("/mnt"), "unmount it");
	ktap_ok(!mount("/dev/harness/blk1", "/mnt", "erofs", MS_RDONLY, NULL), "mount a compressed one");
	lost_pinned("/mnt/f.4096", "/mnt/f.4096");
	ktap_ok(!umount("/mnt"), "unmount it");
	mkdir("/box", 0755);
	ktap_ok(!mount("/dev/harness/blk2", "/box", "erofs", MS_RDONLY, NULL) &&
		!mount("/box/image", "/mnt", "erofs", MS_RDONLY, NULL), "mount one from a file");
	lost_pinned("/mnt/f.4096", "/mnt/f.4096");
	ktap_ok(!umount("/mnt") && !umount("/box"), "unmount it");
	return ktap_end();
}

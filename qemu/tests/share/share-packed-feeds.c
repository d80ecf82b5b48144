// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a compressed file that a younger image reads for itself fills no page that it shares
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP
 * image: base share base
 * image: forged share forged -zlz4 -C65536
 * device: blk:base
 * device: blk:forged
 * timeout: 60
 */
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"
#include "packed.h"
#include "share.h"
#include "system.h"

#define NAME "f.3000000"
#define SIZE 3000000

int main(void)
{
	static char good[SIZE], bad[SIZE], now[SIZE];
	struct stat fragment, packed;
	int older, younger;

	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk1", "/mnt") && share_read("/mnt", NAME, bad, SIZE) == SIZE &&
		!stat("/mnt/same.1", &fragment) && !stat("/mnt/" NAME, &packed), "read the younger image");
	umount("/mnt");
	mkdir("/ram", 0755);
	ktap_ok(!mount("ramfs", "/ram", "ramfs", 0, NULL) &&
		packed_forge("/dev/harness/blk1", fragment.st_ino, 0, packed.st_ino, "/ram/image"),
		"say that a file of it is the packed inode");

	ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL), "mount the older image");
	ktap_ok(share_read("/a", NAME, good, SIZE) == SIZE && memcmp(good, bad, SIZE), "it has other bytes in that file");
	older = share_open("/a", NAME);
	ktap_ok(share_mount("/ram/image", "/b", NULL), "mount the younger one");
	younger = share_open("/b", NAME);
	ktap_ok(older >= 0 && younger >= 0, "both have the file open, and share it");
	drop_caches("1");
	ktap_eq(share_cached("/a", NAME), 0, "none of it is cached");
	/* by more than a page, so that all of its extents are read at once */
	ktap_eq(share_read("/b", "same.1", now, 65536), 65536, "read a fragment of it through the younger mount");
	ktap_eq(share_cached("/a", NAME), 0, "none of it is cached still");
	ktap_ok(share_read("/a", NAME, now, SIZE) == SIZE && !memcmp(now, good, SIZE), "the older mount has its bytes");
	close(younger);
	close(older);
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

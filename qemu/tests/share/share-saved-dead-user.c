// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file whose disk is gone saves nothing, if another mount provides for it, too
 * series: 4-share/????-erofs-share-page-cache-between-files-of-equal-conten.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base
 * device: blk:base
 * device: blk:base
 * device: blk:base
 */
#include "ktap.h"
#include "share.h"

#define NAME	"f.65536"
#define SIZE	65536

static char buffer[SIZE];

int main(void)
{
	static const char *const disks[] = { "/dev/harness/blk0", "/dev/harness/blk1", "/dev/harness/blk2" };
	static const char *const dirs[] = { "/a", "/b", "/c" };
	char paths[3][PATH_MAX];
	int fds[3];

	ktap_begin();
	for (int i = 0; i < 3; i++) {
		ktap_ok(share_mount(disks[i], dirs[i], NULL), "mount %s", dirs[i]);
		fds[i] = share_open(dirs[i], NAME);
		ktap_ok(pread(fds[i], buffer, SIZE, 0) == SIZE, "read it there");
		/* the node goes with the disk */
		share_counter_path(disks[i], "saved_bytes", paths[i]);
	}
	ktap_eq(share_counter(NULL, "saved_bytes"), 2 * SIZE, "two copies are saved");
	ktap_ok(share_unplug(disks[1]), "the second disk goes");
	usleep(300000);
	ktap_ok(pread(fds[1], buffer, SIZE, 0) < 0, "its file is dead");
	ktap_eq(share_counter(NULL, "saved_bytes"), SIZE, "one is left");
	ktap_eq(share_number(paths[1], 0), 0, "it is none of the dead mount");
	ktap_eq(share_number(paths[0], 0) + share_number(paths[2], 0), SIZE, "but of the others");
	for (int i = 0; i < 3; i++) {
		close(fds[i]);
		ktap_ok(!umount(dirs[i]), "unmount %s", dirs[i]);
	}
	return ktap_end();
}

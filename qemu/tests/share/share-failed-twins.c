// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: equal files of a mount that cannot be read cost no memory for each time that they are opened and read
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY DM_FLAKEY
 * image: base share base
 * device: blk:base
 * cpus: 2
 * timeout: 150
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define SIZE	(3 * (65536 + 4095))
#define TURNS	100

static char disk[32], got[SIZE];

int main(void)
{
	long before, after;
	int errors = 0, one, two;

	ktap_begin();
	ktap_ok(dm_create("bad", "/dev/harness/blk0", "delay", "0", disk) && share_mount(disk, "/a", NULL), "mount one");
	/* both inodes stay, though nobody has the files open */
	one = open("/a/same.1", O_PATH);
	two = open("/a/same.2", O_PATH);
	close(share_open("/a", "same.1"));
	close(share_open("/a", "same.2"));
	ktap_ok(dm_reload("bad", "/dev/harness/blk0", "flakey", "0 1 1 error_reads"), "its disk fails");
	before = shared_inodes();
	for (int i = 0; i < TURNS; i++) {
		errors += share_read("/a", "same.1", got, SIZE) < 0;
		close(share_open("/a", "same.2"));
	}
	after = shared_inodes();
	ktap_eq(errors, TURNS, "each read fails");
	ktap_ok(after - before < 10, "shared inodes: %ld, then %ld", before, after);
	ktap_ok(dm_reload("bad", "/dev/harness/blk0", "delay", "0"), "its disk works again");
	ktap_ok(share_read("/a", "same.1", got, SIZE) == SIZE && share_read("/a", "same.2", got, SIZE) == SIZE,
		"both can be read again");
	close(one);
	close(two);
	ktap_ok(!umount("/a") && dm_remove("bad"), "unmount");
	return ktap_end();
}

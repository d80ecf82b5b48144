// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file that an older mount cannot read gives a younger one an error once, and then its own bytes
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY DM_FLAKEY
 * image: base share base
 * image: chunk share base --chunksize=4096
 * device: blk:base
 * device: blk:chunk
 * cpus: 2
 * timeout: 150
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.65536"
#define TURNS	60

static char disk[32], got[65536];

int main(void)
{
	long before, after;
	int errors = 0, rights = 0, keep;

	ktap_begin();
	ktap_ok(dm_create("bad", "/dev/harness/blk0", "delay", "0", disk) && share_mount(disk, "/a", NULL) &&
		share_mount("/dev/harness/blk1", "/b", NULL), "mount two");
	close(share_open("/a", NAME));
	close(share_open("/b", NAME));
	ktap_ok(dm_reload("bad", "/dev/harness/blk0", "flakey", "0 1 1 error_reads"), "the older one fails");
	/* the older one's inode goes in each turn, the younger one's stays, though nobody has it open */
	keep = open("/b/" NAME, O_PATH);
	before = shared_inodes();
	for (int i = 0; i < TURNS; i++) {
		close(share_open("/a", NAME));
		errors += share_read("/b", NAME, got, sizeof(got)) < 0;
		rights += share_read("/b", NAME, got, sizeof(got)) == sizeof(got);
		drop_caches("2");
	}
	after = shared_inodes();
	ktap_ok(ktap_is(errors, <=, 1) && ktap_is(rights, >=, TURNS - 1), "the younger mount reads its own copy after one error");
	ktap_ok(after - before < 10, "shared inodes: %ld, then %ld", before, after);
	close(keep);
	ktap_ok(!umount("/b") && !umount("/a") && dm_remove("bad"), "unmount all");
	return ktap_end();
}

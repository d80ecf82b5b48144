// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file that cannot be read costs no memory for each time that it is opened, though others are equal to it
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

#define SIZE	(3 * (65536 + 4095))
#define TURNS	100

static char disk[32], got[SIZE];

int main(void)
{
	int errors = 0, keep[3], younger;
	long before, after;

	ktap_begin();
	ktap_ok(dm_create("bad", "/dev/harness/blk0", "delay", "0", disk) && share_mount(disk, "/a", NULL) &&
		share_mount("/dev/harness/blk1", "/b", NULL), "mount two");
	/* these inodes stay, though nobody has the files open */
	keep[0] = open("/a/same.1", O_PATH);
	keep[1] = open("/a/same.2", O_PATH);
	keep[2] = open("/a/f.65536", O_PATH);
	close(share_open("/a", "same.1"));
	close(share_open("/a", "same.2"));
	close(share_open("/a", "f.65536"));
	ktap_ok(dm_reload("bad", "/dev/harness/blk0", "flakey", "0 1 1 error_reads"), "the older one fails");

	before = shared_inodes();
	for (int i = 0; i < TURNS; i++) {
		errors += share_read("/a", "same.1", got, SIZE) < 0;
		close(share_open("/a", "same.2"));
	}
	after = shared_inodes();
	ktap_eq(errors, TURNS, "each read fails");
	ktap_ok(after - before < 10, "two of one mount: shared inodes: %ld, then %ld", before, after);

	before = after;
	for (int i = 0; i < TURNS; i++) {
		younger = share_open("/b", "f.65536");
		share_read("/a", "f.65536", got, SIZE);
		close(share_open("/a", "f.65536"));
		close(younger);
		drop_caches("2");
	}
	after = shared_inodes();
	ktap_ok(after - before < 10, "two mounts: shared inodes: %ld, then %ld", before, after);

	ktap_ok(dm_reload("bad", "/dev/harness/blk0", "delay", "0"), "its disk works again");
	ktap_ok(share_read("/a", "same.1", got, SIZE) == SIZE && share_read("/a", "same.2", got, SIZE) == SIZE,
		"all can be read again");
	for (int i = 0; i < 3; i++)
		close(keep[i]);
	ktap_ok(!umount("/b") && !umount("/a") && dm_remove("bad"), "unmount all");
	return ktap_end();
}

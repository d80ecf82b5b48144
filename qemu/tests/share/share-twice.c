// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file that comes back to a shared inode which it still provides for is there once
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY DM_FLAKEY
 * image: base share base
 * image: chunk share base --chunksize=4096
 * image: lz4 share base -zlz4
 * device: blk:base
 * device: blk:chunk
 * device: blk:lz4
 * cpus: 2
 * timeout: 100
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.65536"

static char disk[32], got[65536];

int main(void)
{
	const char *x = "/dev/harness/blk1";
	int younger;

	ktap_begin();
	ktap_ok(dm_create("bad", "/dev/harness/blk0", "delay", "0", disk) && share_mount(disk, "/o", NULL) &&
		share_mount(x, "/x", NULL) && share_mount("/dev/harness/blk2", "/y", NULL), "mount three");
	close(share_open("/x", NAME));
	younger = share_open("/y", NAME);
	ktap_ok(younger >= 0, "the middle one provides for the youngest");
	close(share_open("/o", NAME));
	close(share_open("/x", NAME));
	drop_caches("1");
	ktap_ok(dm_reload("bad", "/dev/harness/blk0", "flakey", "0 1 1 error_reads"), "it joins the oldest, which fails");
	ktap_fails(share_read("/x", NAME, got, sizeof(got)) < 0, EIO, "that is told once");
	ktap_eq(share_read("/x", NAME, got, sizeof(got)), sizeof(got), "then it reads its own copy");
	ktap_eq(share_counter(x, "cached_bytes"), 65536, "it is the one that provides");
	ktap_eq(share_counter(x, "saved_bytes"), 0, "and saves nothing by that");
	close(younger);
	ktap_ok(!umount("/y"), "the youngest goes");
	ktap_eq(share_counter(NULL, "saved_bytes"), 0, "nothing is saved now");
	drop_inodes();
	ktap_eq(share_counter(x, "attached"), 0, "an inode that nobody uses is reclaimed");
	ktap_ok(!umount("/x") && !umount("/o") && dm_remove("bad"), "unmount all");
	return ktap_end();
}

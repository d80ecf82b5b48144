// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file that has failed takes the copy of an older mount, as soon as there is one
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY DM_FLAKEY
 * image: base share base
 * image: chunk share base --chunksize=4096
 * device: blk:base
 * device: blk:chunk
 * cpus: 2
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.65536"

static char disk[32], got[65536];

int main(void)
{
	long long saved;

	ktap_begin();
	ktap_ok(share_mount("/dev/harness/blk0", "/o", NULL) &&
		dm_create("bad", "/dev/harness/blk1", "delay", "0", disk) && share_mount(disk, "/x", NULL),
		"mount two");
	close(share_open("/x", NAME));
	drop_caches("1");
	ktap_ok(dm_reload("bad", "/dev/harness/blk1", "flakey", "0 1 1 error_reads"), "the younger one fails");
	ktap_fails(share_read("/x", NAME, got, sizeof(got)) < 0, EIO, "nobody else has its file yet");
	ktap_eq(share_read("/o", NAME, got, sizeof(got)), sizeof(got), "the older one is read");
	ktap_eq(share_read("/x", NAME, got, sizeof(got)), sizeof(got), "now the younger one has its bytes");
	ktap_ok(dm_reload("bad", "/dev/harness/blk1", "delay", "0"), "its disk works again");
	ktap_eq(share_read("/x", NAME, got, sizeof(got)), sizeof(got), "it still has");
	saved = share_counter(NULL, "saved_bytes");
	ktap_eq(saved, 65536, "and both have them once");
	ktap_ok(!umount("/x") && !umount("/o") && dm_remove("bad"), "unmount all");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: direct I/O of a file, from its own disk, does not fail because readahead failed elsewhere
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY DM_FLAKEY
 * image: base share base -Enoinline_data
 * image: chunk share base --chunksize=4096
 * device: blk:base
 * device: blk:chunk
 * cpus: 2
 * timeout: 60
 *
 * Direct I/O looks for errors of writeback in the mapping that the file shares.
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define LARGE	"f.3000000"
#define BYTES	3000000

static char good[BYTES];
static char got[4096] __attribute__((aligned(4096)));

int main(void)
{
	char bad[32];
	int fd, direct;

	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk1", "/p") && share_read("/p", LARGE, good, BYTES) == BYTES && !umount("/p"),
		"learn what it has");
	ktap_ok(dm_create("bad", "/dev/harness/blk0", "delay", "0", bad) && share_mount(bad, "/a", NULL) &&
		share_mount("/dev/harness/blk1", "/b", NULL), "mount two");
	close(share_open("/a", LARGE));
	fd = share_open("/b", LARGE);
	ktap_ok(dm_reload("bad", "/dev/harness/blk0", "flakey", "0 1 1 error_reads"), "the older disk fails");
	posix_fadvise(fd, 1 << 20, 65536, POSIX_FADV_WILLNEED);
	usleep(200000);
	direct = open("/b/" LARGE, O_RDONLY | O_DIRECT);
	for (int i = 0; i < 2; i++) {
		ssize_t n = pread(direct, got, 4096, 0);

		ktap_ok(n == 4096 && !memcmp(got, good, 4096), "direct read %d of its own disk: %zd, errno %d", i, n, n < 0 ? errno : 0);
	}
	close(direct);
	close(fd);
	ktap_ok(!umount("/b") && !umount("/a") && dm_remove("bad"), "unmount all");
	return ktap_end();
}

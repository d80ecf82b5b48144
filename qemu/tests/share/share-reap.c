// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a disk that hangs does not keep what others have cached
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY DM_FLAKEY
 * image: base share base
 * image: chunk share base --chunksize=4096
 * device: blk:base
 * device: blk:chunk
 * cpus: 2
 * timeout: 200
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define LARGE	"f.3000000"
#define BYTES	3000000
#define PAGE	4096

static char hung[32], got[BYTES];

int main(void)
{
	pid_t reader;
	ssize_t n;
	int fd;

	ktap_begin();
	ktap_ok(dm_create("hung", "/dev/harness/blk0", "delay", "0", hung) && share_mount(hung, "/a", NULL), "mount");
	fd = share_open("/a", LARGE);
	n = pread(fd, got, PAGE, 0);
	drop_caches("1");
	ktap_ok(dm_reload("hung", "/dev/harness/blk0", "flakey", "0 1 1 error_reads"), "errors");
	n = pread(fd, got, PAGE, 2000000);
	ktap_note("read %zd, failed %lld", n, share_counter(NULL, "failed"));
	ktap_ok(dm_reload("hung", "/dev/harness/blk0", "delay", "0"), "no errors");
	ktap_ok(pread(fd, got, PAGE, 0) == PAGE && dm_hang("hung"), "hang");
	reader = fork();
	if (!reader)
		_exit(pread(fd, got, PAGE, 2500000) != PAGE);
	usleep(300000);
	close(fd);
	ktap_ok(share_kill(reader, 5), "kill the reader");
	drop_caches("2");
	usleep(300000);
	ktap_ok(share_mount("/dev/harness/blk1", "/b", NULL) && share_read("/b", LARGE, got, BYTES) == BYTES, "use another");
	ktap_note("cached: %lld", share_counter(NULL, "cached_bytes"));
	ktap_ok(!umount("/b"), "unmount it");
	sleep(3);
	ktap_ok(share_counter(NULL, "cached_bytes") < 1000000, "its pages are gone (%lld)", share_counter(NULL, "cached_bytes"));
	dm_go("hung");
	sleep(1);
	ktap_note("cached after it goes on: %lld", share_counter(NULL, "cached_bytes"));
	ktap_ok(!umount("/a") && dm_remove("hung"), "unmount");
	return ktap_end();
}

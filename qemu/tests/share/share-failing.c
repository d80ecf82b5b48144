// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: when a mount leaves whose disk fails, all who wait for it get their bytes from the next one
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

#define LARGE	"f.3000000"
#define BYTES	3000000
#define READERS	4

static char hung[32], good[BYTES], got[4096];

int main(void)
{
	pid_t pids[READERS], umounts;
	int fd;
	int right = 0, waiting = 0, status;

	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk1", "/p") && share_read("/p", LARGE, good, BYTES) == BYTES && !umount("/p"),
		"learn what it has");
	ktap_ok(dm_create("hung", "/dev/harness/blk0", "delay", "0", hung) && share_mount(hung, "/a", NULL) &&
		share_mount("/dev/harness/blk1", "/b", NULL), "mount two");
	close(share_open("/a", LARGE));
	fd = share_open("/b", LARGE);
	/* readahead that fails leaves pages behind, which a read(2) then reads one by one */
	ktap_ok(dm_reload("hung", "/dev/harness/blk0", "flakey", "0 1 1 error_reads"), "readahead fails");
	for (int i = 0; i < READERS; i++)
		posix_fadvise(fd, (100 + 100 * i) * 4096, 4096, POSIX_FADV_WILLNEED);
	usleep(200000);
	ktap_ok(dm_reload("hung", "/dev/harness/blk0", "delay", "0") && dm_hang("hung"), "then the older disk hangs");
	for (int i = 0; i < READERS; i++) {
		int at = (100 + 100 * i) * 4096;

		pids[i] = fork();
		if (!pids[i])
			_exit(pread(fd, got, 4096, at) != 4096 ? 1 : memcmp(got, good + at, 4096) ? 2 : 0);
	}
	usleep(500000);
	for (int i = 0; i < READERS; i++)
		waiting += dm_waits(pids[i]);
	ktap_ok(waiting == READERS, "all wait for it (%d of %d)", waiting, READERS);
	umounts = fork();
	if (!umounts)
		_exit(share_umount("/a", ""));
	usleep(500000);
	ktap_ok(dm_waits(umounts), "its unmount does, too");
	ktap_ok(dm_reload("hung", "/dev/harness/blk0", "flakey", "0 1 1 error_reads"), "it fails");
	for (int i = 0; i < READERS; i++) {
		status = share_end(pids[i], 10);
		right += !status;
		if (status)
			ktap_note("reader %d: status %#x", i, status);
	}
	ktap_ok(right == READERS, "all have their bytes from the younger mount (%d of %d)", right, READERS);
	ktap_ok(!share_end(umounts, 10), "the older one is unmounted");
	close(fd);
	ktap_ok(!umount("/b") && dm_remove("hung"), "unmount all");
	return ktap_end();
}

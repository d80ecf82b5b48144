// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who reads the counters of all does not wait for a disk that hangs
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY DM_FLAKEY
 * image: base share base
 * device: blk:base
 * cpus: 2
 * timeout: 200
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define LARGE	"f.3000000"
#define PAGE	4096
#define TRIES	400

static char hung[32], got[PAGE];

/* readers of sysfs, for ever */
static pid_t walker(void)
{
	pid_t pid = fork();

	while (!pid)
		share_counter(NULL, "cached_bytes");
	return pid;
}

int main(void)
{
	pid_t walk[2], reader;
	int stuck = -1;

	ktap_begin();
	ktap_ok(dm_create("hung", "/dev/harness/blk0", "delay", "0", hung), "a disk");
	for (int i = 0; i < 2; i++)
		walk[i] = walker();
	for (int try = 0; try < 2 && stuck < 0; try++) {
		if (!share_mount(hung, "/a", NULL))
			break;
		{
			int fd = share_open("/a", LARGE);
			ssize_t n;

			pread(fd, got, PAGE, 0);
			drop_caches("1");
			ktap_ok(dm_reload("hung", "/dev/harness/blk0", "flakey", "0 1 1 error_reads"), "errors");
			n = pread(fd, got, PAGE, 2000000);
			ktap_note("read %zd, failed %lld", n, share_counter(NULL, "failed"));
			ktap_ok(dm_reload("hung", "/dev/harness/blk0", "delay", "0"), "no errors");
			ktap_ok(pread(fd, got, PAGE, 0) == PAGE, "read again");
			ktap_ok(dm_hang("hung"), "hang");
			reader = fork();
			if (!reader)
				_exit(pread(fd, got, PAGE, 2500000) != PAGE);
			usleep(300000);
			close(fd);
			ktap_ok(dm_waits(reader), "a reader hangs");
		}
		ktap_ok(share_kill(reader, 5), "kill it");
		drop_caches("2");
		usleep(300000);
		for (int i = 0; i < 2; i++) {
			int n = 0;

			for (int k = 0; k < 100; k++) {
				n += dm_waits(walk[i]);
				usleep(2000);
			}
			if (n == 100)
				stuck = i;
		}
		ktap_ok(stuck < 0, "no reader of sysfs hangs");
		dm_go("hung");
		usleep(100000);
		ktap_ok(!umount("/a"), "unmount");
	}
	for (int i = 0; i < 2; i++)
		kill(walk[i], SIGKILL);
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: readers who are killed at any moment make no image fail, of whatever kind it is
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP DM_DELAY
 * image: box share box
 * image: zbox share box -zlz4 -C65536 -Eall-fragments
 * image: frag share base -zlz4 -C65536 -Eall-fragments
 * image: dedupe share base -zlz4 -C65536 -Ededupe,fragments
 * image: tail share base -zdeflate -C16384 -Eztailpacking
 * image: chunk share base --chunksize=4096
 * device: blk:box
 * device: blk:zbox
 * device: blk:chunk
 * device: blk:frag
 * device: blk:dedupe
 * device: blk:tail
 * cpus: 2
 * timeout: 200
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.3000000"
#define BYTES	3000000

static char good[BYTES], got[BYTES];

static void round_of(const char *disk, const char *what, bool file)
{
	static long long failed;
	long long now;
	char slow[32];
	int wrong = 0, killed = 0, ended = 0, fd;

	ktap_ok(dm_create("slow", disk, "delay", "0", slow) && (!file || share_plain(slow, "/box")) &&
		share_mount(file ? "/box/image" : slow, "/a", NULL) && share_mount("/dev/harness/blk2", "/b", NULL), "mount %s", what);
	close(share_open("/a", NAME));
	fd = share_open("/b", NAME);
	ktap_ok(share_read("/a", NAME, got, BYTES) == BYTES && !memcmp(got, good, BYTES), "the older one is right");
	drop_caches("1");
	ktap_ok(share_read("/b", NAME, got, BYTES) == BYTES && !memcmp(got, good, BYTES), "the younger one is right");
	dm_reload("slow", disk, "delay", "30");
	for (int i = 0; i < 20; i++) {
		pid_t pid;
		int status;

		drop_caches("1");
		pid = fork();
		if (!pid) {
			int at = i * 140000;
			ssize_t n = pread(fd, got, 100000, at);

			_exit(n < 0 ? 1 : memcmp(got, good + at, n) ? 2 : 0);
		}
		usleep(i * 6000);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		killed += WIFSIGNALED(status);
		ended += !status;
		wrong += WIFEXITED(status) && WEXITSTATUS(status);
	}
	ktap_ok(!wrong && killed, "%d killed, %d ended, %d wrong", killed, ended, wrong);
	now = share_counter(NULL, "failed");
	ktap_ok(now == failed, "nothing has failed (%lld)", now - failed);
	failed = now;
	drop_caches("1");
	posix_fadvise(fd, 1000000, 400000, POSIX_FADV_WILLNEED);
	ktap_ok(share_within(20, share_umount, "/a", ""), "unmount the older one while reads are in flight");
	ktap_ok(pread(fd, got, BYTES, 0) > 0 && !memcmp(got, good, 4096), "the younger one reads on");
	close(fd);
	dm_reload("slow", disk, "delay", "0");
	ktap_ok(!umount("/b") && (!file || !umount("/box")) && dm_remove("slow"), "unmount");
}

int main(void)
{
	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk2", "/p") && share_read("/p", NAME, good, BYTES) == BYTES && !umount("/p"), "learn");
	round_of("/dev/harness/blk0", "plain, in a file", true);
	round_of("/dev/harness/blk3", "fragments, on a disk", false);
	round_of("/dev/harness/blk4", "fragments and clusters of several files, on a disk", false);
	round_of("/dev/harness/blk5", "inline tails, on a disk", false);
	round_of("/dev/harness/blk1", "fragments, in a file", true);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: an image in a file that is read by direct I/O feeds younger mounts, whoever is killed or unmounts meanwhile
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP DM_DELAY
 * image: box share box
 * image: zbox share box -zlz4 -C65536 -Eall-fragments
 * image: chunk share base --chunksize=4096
 * device: blk:box
 * device: blk:zbox
 * device: blk:chunk
 * cpus: 2
 * timeout: 90
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.3000000"
#define BYTES	3000000

static char good[BYTES], got[BYTES];

static void round_of(const char *disk, const char *what)
{
	char slow[32];
	int wrong = 0, killed = 0, ended = 0, fd;

	ktap_ok(dm_create("slow", disk, "delay", "0", slow) && share_plain(slow, "/box") &&
		share_mount("/box/image", "/a", "directio") && share_mount("/dev/harness/blk2", "/b", NULL), "mount %s", what);
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
	ktap_eq(share_counter(NULL, "failed"), 0, "nothing has failed");
	drop_caches("1");
	posix_fadvise(fd, 1000000, 400000, POSIX_FADV_WILLNEED);
	ktap_ok(share_within(20, share_umount, "/a", ""), "unmount the older one while reads are in flight");
	ktap_ok(pread(fd, got, BYTES, 0) > 0 && !memcmp(got, good, 4096), "the younger one reads on");
	close(fd);
	dm_reload("slow", disk, "delay", "0");
	ktap_ok(!umount("/b") && !umount("/box") && dm_remove("slow"), "unmount");
}

int main(void)
{
	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk2", "/p") && share_read("/p", NAME, good, BYTES) == BYTES && !umount("/p"), "learn");
	round_of("/dev/harness/blk0", "plain");
	round_of("/dev/harness/blk1", "with fragments");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

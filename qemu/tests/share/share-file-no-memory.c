// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: want of memory while an image in a file is read is no failure of that image
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE FAULT_INJECTION FAIL_PAGE_ALLOC
 * flavours: debug
 * image: box share box
 * image: chunk share base --chunksize=4096
 * device: blk:box
 * device: blk:chunk
 * timeout: 60
 */
#include "ktap.h"
#include "share.h"

#define LARGE	"f.3000000"
#define BYTES	3000000
#define FAIL	"/sys/kernel/debug/fail_page_alloc/"

static char good[BYTES], got[BYTES];

int main(void)
{
	int fd, errors = 0, wrong = 0, status, ends = 0;

	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk1", "/p") && share_read("/p", LARGE, good, BYTES) == BYTES && !umount("/p"),
		"learn what it has");
	ktap_ok(share_plain("/dev/harness/blk0", "/box") && share_mount("/box/image", "/a", NULL) &&
		share_mount("/dev/harness/blk1", "/b", NULL), "mount an image in a file, and a younger one");
	close(share_open("/a", LARGE));
	fd = share_open("/b", LARGE);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(write_to(FAIL "task-filter", "Y") && write_to(FAIL "ignore-gfp-wait", "N") && write_to(FAIL "ignore-gfp-highmem", "N") &&
		write_to(FAIL "min-order", "0") && write_to(FAIL "verbose", "0") && write_to(FAIL "times", "-1") &&
		write_to(FAIL "probability", "10"), "let allocations fail");
	for (int i = 0; i < 40; i++) {
		pid_t pid;

		drop_caches("1");
		pid = fork();
		if (!pid) {
			int at = i * 7919 * 13 % (BYTES - 200000) & ~4095, n = 0, bad = 0;

			if (!write_to("/proc/thread-self/make-it-fail", "1"))
				_exit(200);
			for (int k = 0; k < 10; k++) {
				ssize_t r = pread(fd, got, 16384, at + k * 16384);

				n += r < 0;
				bad += r > 0 && memcmp(got, good + at + k * 16384, r);
			}
			write_to("/proc/thread-self/make-it-fail", "0");
			_exit(bad ? 100 : n);
		}
		waitpid(pid, &status, 0);
		if (!WIFEXITED(status) || WEXITSTATUS(status) >= 200)
			ends++;
		else if (WEXITSTATUS(status) >= 100)
			wrong++;
		else
			errors += WEXITSTATUS(status);
	}
	write_to(FAIL "probability", "0");
	ktap_ok(!ends && !wrong && errors, "%d errors, %d wrong, %d broken", errors, wrong, ends);
	ktap_eq(share_counter(NULL, "failed"), 0, "nothing has failed");
	close(fd);
	ktap_ok(!umount("/b") && !umount("/a") && !umount("/box"), "unmount all");
	return ktap_end();
}

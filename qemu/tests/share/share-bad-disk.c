// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: of a disk that fails all reads, each shared file fails, and only the first takes its time
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY DM_FLAKEY
 * image: chunk share base --chunksize=4096
 * device: blk:chunk
 * timeout: 60
 *
 * A disk that is pulled fails reads, too, before it is marked as gone; half a second
 * goes by until an error counts as one of the data.
 */
#include <time.h>

#include "dm.h"
#include "ktap.h"
#include "share.h"

static const char *const files[] = { "f.4096", "f.4097", "f.8192", "f.65536", "f.300001", "f.3000000", "same.1" };
#define NR_FILES	(int)(sizeof(files) / sizeof(*files))

int main(void)
{
	char disk[32], byte;
	struct timespec from, to;
	int fds[NR_FILES], opened = 0, errors = 0;

	ktap_begin();
	ktap_ok(dm_create("bad", "/dev/harness/blk0", "delay", "0", disk) && share_mount(disk, "/a", NULL), "mount");
	for (int i = 0; i < NR_FILES; i++) {
		fds[i] = share_open("/a", files[i]);
		opened += fds[i] >= 0;
	}
	ktap_eq(opened, NR_FILES, "open the files");
	ktap_ok(dm_reload("bad", "/dev/harness/blk0", "flakey", "0 1 1 error_reads"), "its disk fails reads");
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < NR_FILES; i++)
		errors += pread(fds[i], &byte, 1, 0) < 0 && errno == EIO;
	clock_gettime(CLOCK_MONOTONIC, &to);
	ktap_eq(errors, NR_FILES, "each gives EIO");
	ktap_eq(share_counter(NULL, "failed"), NR_FILES, "each has failed");

	long ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;

	ktap_ok(ms < 2000, "all of that within 2 s (%ld ms)", ms);
	for (int i = 0; i < NR_FILES; i++)
		close(fds[i]);
	ktap_ok(!umount("/a") && dm_remove("bad"), "unmount");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file that provides for what it has left is counted as one file
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base
 * device: blk:base
 * device: blk:base
 * device: blk:base
 */
#include "ktap.h"
#include "share.h"

#define NAME	"f.65536"
#define SIZE	65536

static char buffer[SIZE];

int main(void)
{
	static const char *const disks[] = { "/dev/harness/blk0", "/dev/harness/blk1", "/dev/harness/blk2" };
	long long sum = 0;
	int fd;

	ktap_begin();
	ktap_ok(share_mount(disks[0], "/a", NULL) && share_mount(disks[1], "/b", NULL) && share_mount(disks[2], "/c", NULL),
		"mount three");
	ktap_ok(share_read("/b", NAME, buffer, SIZE) == SIZE, "the second one reads");
	fd = share_open("/c", NAME);
	ktap_ok(pread(fd, buffer, SIZE, 0) == SIZE, "the third one has the file open");
	ktap_ok(share_read("/a", NAME, buffer, SIZE) == SIZE, "the first one reads");
	close(share_open("/b", NAME));
	ktap_eq(share_counter(NULL, "attached"), 3, "three files");
	ktap_eq(share_counter(NULL, "cached_bytes"), 2 * SIZE, "have two copies");
	ktap_eq(share_counter(NULL, "saved_bytes"), SIZE, "so one is saved");
	for (int i = 0; i < 3; i++) {
		printf("# %s %lld\n", disks[i], share_counter(disks[i], "saved_bytes"));
		sum += share_counter(disks[i], "saved_bytes");
	}
	ktap_eq(sum, SIZE, "by the mounts' counters too");
	close(fd);
	ktap_ok(!umount("/c") && !umount("/b") && !umount("/a"), "unmount");
	return ktap_end();
}

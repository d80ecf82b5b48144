// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: readers that need the same metadata of an older mount whose disk hangs can be killed
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY
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
#define PAGE	4096

static char hung[32], got[PAGE];

/* @at: offset in bytes */
static int reads_at(const char *dir, const char *at)
{
	return pread(share_open(dir, LARGE), got, PAGE, atoi(at)) != PAGE;
}

int main(void)
{
	pid_t first, second;
	char path[64], stack[2048] = "";
	int fd;

	ktap_begin();
	ktap_ok(dm_create("hung", "/dev/harness/blk1", "delay", "0", hung) && share_mount(hung, "/a", NULL) &&
		share_mount("/dev/harness/blk0", "/b", NULL), "mount two");
	close(share_open("/a", LARGE));
	close(share_open("/b", LARGE));
	drop_caches("1");
	ktap_ok(dm_hang("hung"), "the older disk hangs");
	first = dm_begin(reads_at, "/b", "2500000");
	second = dm_begin(reads_at, "/b", "2600000");
	ktap_ok(share_kill(second, 5), "kill the second reader");
	snprintf(path, sizeof(path), "/proc/%d/stack", second);
	fd = open(path, O_RDONLY);
	if (fd >= 0 && read(fd, stack, sizeof(stack) - 1) > 0)
		ktap_note("it is in %s", stack);
	ktap_ok(share_kill(first, 5), "kill the first reader");
	ktap_ok(dm_go("hung"), "the disk goes on");
	usleep(500000);
	ktap_ok(!umount("/b") && !umount("/a") && dm_remove("hung"), "unmount all");
	return ktap_end();
}

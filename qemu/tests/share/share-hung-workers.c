// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: killed readers of an image in a file, on a disk that hangs, keep nobody from reading other images
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE DM_DELAY PAGE_SIZE_4KB
 * image: box share box --chunksize=4096
 * device: blk:box
 * device: blk:box
 * cpus: 2
 * memory: 512M
 * timeout: 300
 * flavours: fast
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.3000000"
#define READERS	1100		/* a workqueue has 1,024 at work, on Linux 6.12 256 */
#define PAGE	300

static int reads(const char *dir, const char *name)
{
	return share_read_at(dir, name, PAGE * 4096);
}

int main(void)
{
	static pid_t pids[READERS];
	char hung[32], slow[32], c;
	bool done;
	pid_t pid;

	ktap_begin();
	ktap_ok(dm_create("hung", "/dev/harness/blk0", "delay", "0", hung) && share_plain(hung, "/box") &&
		share_plain("/box/image", "/a") && share_plain("/box/image", "/c"), "mount an image in a file, twice");
	ktap_ok(dm_create("slow", "/dev/harness/blk1", "delay", "0", slow) && share_plain(slow, "/other") &&
		share_plain("/other/image", "/b"), "mount another one, from another disk");
	drop_caches("1");
	ktap_ok(read_extents("/a/" NAME) && read_extents("/b/" NAME) && read_extents("/c/" NAME), "extents are known");
	ktap_ok(share_read("/a", "f.1", &c, 1) == 1 && share_read("/b", "f.1", &c, 1) == 1 &&
		share_read("/c", "f.1", &c, 1) == 1, "something else is read");

	ktap_ok(dm_hang("hung"), "the first disk hangs");
	for (int i = 0; i < READERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(share_read_at(i % 2 ? "/c" : "/a", NAME, (10 + i / 2) * 4096));
	}
	ktap_eq(dm_wait_all(pids, READERS), READERS, "readers wait for it");
	ktap_eq(share_kill_all(pids, READERS), READERS, "all of them can be killed");

	ktap_ok(dm_reload("slow", "/dev/harness/blk1", "delay", "5000"), "the other disk is slow");
	pid = dm_begin(reads, "/b", NAME);
	ktap_ok(share_kill(pid, 5), "a reader of the other image is killed");
	ktap_ok(dm_reload("slow", "/dev/harness/blk1", "delay", "0"), "and its disk is fast again");
	sleep(2);
	done = share_within(5, reads, "/b", NAME);
	ktap_ok(done, "the same page is read by somebody else");
	ktap_ok(share_within(5, share_umount, "/b", NAME), "the other image can be unmounted");

	ktap_ok(dm_go("hung"), "the first disk goes on");
	sleep(2);
	ktap_ok(done || (umount("/b") && errno == EINVAL) || !umount("/b"), "after that, too");
	ktap_ok(!umount("/other") && !umount("/a") && !umount("/c") && !umount("/box") && dm_remove("hung") && dm_remove("slow"),
		"unmount all");
	return ktap_end();
}

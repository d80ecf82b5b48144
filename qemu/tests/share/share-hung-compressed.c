// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who needs metadata of an older image in a compressed file, on a disk that hangs, can be killed
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP DM_DELAY PAGE_SIZE_4KB
 * image: outer deep 1 -zlz4 -C65536
 * image: inner deep 0 -zlz4 -C65536
 * device: blk:outer
 * device: blk:inner
 * cpus: 2
 * timeout: 60
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

static int reads(const char *dir, const char *name)
{
	int fd = share_open(dir, name);
	char c;

	return pread(fd, &c, 1, 20000) != 1;
}

static void killed(bool shares)
{
	const char *how = shares ? "the file shares" : "the file does not share";
	char hung[32];
	pid_t pid;

	ktap_ok(dm_create("hung", "/dev/harness/blk0", "delay", "0", hung) &&
		(shares ? share_mount(hung, "/box", NULL) : share_plain(hung, "/box")) &&
		share_mount("/box/image", "/a", NULL) && share_mount("/dev/harness/blk1", "/b", NULL),
		"%s: mount two", how);
	close(share_open("/a", "who"));
	close(share_open("/b", "who"));
	drop_caches("1");
	ktap_ok(dm_hang("hung"), "%s: the older disk hangs", how);
	pid = dm_begin(reads, "/b", "who");
	ktap_ok(share_kill(pid, 5), "%s: who reads can be killed", how);
	ktap_ok(dm_reload("hung", "/dev/harness/blk0", "delay", "0"), "%s: the disk goes on", how);
	share_end(pid, 5);
	ktap_ok(!umount("/b") && !umount("/a") && !umount("/box") && dm_remove("hung"), "%s: unmount all", how);
}

int main(void)
{
	ktap_begin();
	killed(false);
	killed(true);
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who needs a fragment from the disk of another mount, which hangs, can be killed, and makes no image fail
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP DM_DELAY
 * image: frag share base -zlz4 -C65536 -Eall-fragments
 * image: box share box -zlz4 -C65536 -Eall-fragments
 * image: chunk share base --chunksize=4096
 * device: blk:frag
 * device: blk:box
 * device: blk:chunk
 * cpus: 2
 * timeout: 60
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.3000000"
#define BYTES	3000000
#define FAR	1500000

static int reads(const char *dir, const char *name)
{
	int fd = share_open(dir, name);
	char c;
	bool failed = pread(fd, &c, 1, FAR) != 1;

	close(fd);
	return failed;
}

static int maps(const char *dir, const char *name)
{
	volatile char *p = share_map(dir, name, BYTES);

	return p[FAR] == 'x';
}

/* The older image is on @disk, or it is the file "image" of the file system there. */
static void killed(const char *disk, bool in_file)
{
	const char *how = in_file ? "in a file" : "on a disk";
	char hung[32], c;
	pid_t pid;

	ktap_ok(dm_create("hung", disk, "delay", "0", hung) && (!in_file || share_plain(hung, "/box")) &&
		share_mount(in_file ? "/box/image" : hung, "/a", NULL) && share_mount("/dev/harness/blk2", "/b", NULL),
		"%s: mount two", how);
	close(share_open("/a", NAME));
	close(share_open("/b", NAME));
	drop_caches("1");
	/* of the older one metadata is there, the file's and that of the packed inode, and data is not */
	ktap_ok(read_extents("/a/" NAME), "%s: the file's extents are known", how);
	ktap_ok(share_read("/a", "f.1", &c, 1) == 1, "%s: something else is read", how);
	ktap_ok(dm_hang("hung"), "%s: the older disk hangs", how);
	pid = dm_begin(reads, "/b", NAME);
	ktap_ok(share_kill(pid, 5), "%s: who reads can be killed", how);
	pid = dm_begin(maps, "/b", NAME);
	ktap_ok(share_kill(pid, 5), "%s: who maps can be killed", how);
	ktap_ok(dm_reload("hung", disk, "delay", "0"), "%s: the disk goes on", how);
	ktap_eq(share_counter(NULL, "failed"), 0, "%s: nothing has failed", how);
	ktap_ok(!reads("/b", NAME), "%s: the next one reads", how);
	ktap_ok(!umount("/b") && !umount("/a") && (!in_file || !umount("/box")) && dm_remove("hung"),
		"%s: unmount all", how);
}

int main(void)
{
	ktap_begin();
	killed("/dev/harness/blk0", false);
	killed("/dev/harness/blk1", true);
	return ktap_end();
}

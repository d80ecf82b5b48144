// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who is killed while a fragment of an image in a file is read for him makes no image fail
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP DM_DELAY
 * image: box share box -zlz4 -C65536 -Eall-fragments
 * image: chunk share base --chunksize=4096
 * device: blk:box
 * device: blk:chunk
 * cpus: 2
 * timeout: 60
 */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "dm.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.3000000"
#define BYTES	3000000

int main(void)
{
	struct fiemap map = { .fm_length = BYTES };
	char hung[32], c;
	pid_t pid;
	int fd;

	ktap_begin();
	ktap_ok(dm_create("hung", "/dev/harness/blk0", "delay", "0", hung) && share_plain(hung, "/box") &&
		share_mount("/box/image", "/a", NULL) && share_mount("/dev/harness/blk1", "/b", NULL),
		"mount an image in a file, and a younger one");
	close(share_open("/a", NAME));
	close(share_open("/b", NAME));
	drop_caches("1");
	/* metadata is there, that of the packed inode too, and data is not */
	fd = share_open("/a", NAME);
	ktap_ok(!ioctl(fd, FS_IOC_FIEMAP, &map), "the file's extents are known");
	close(fd);
	ktap_ok(share_read("/a", "f.1", &c, 1) == 1, "something else is read");
	ktap_ok(dm_hang("hung"), "the older disk hangs");
	pid = dm_begin(share_reads_middle, "/b", NAME);
	ktap_ok(share_kill(pid, 5), "who reads can be killed");
	ktap_ok(dm_reload("hung", "/dev/harness/blk0", "delay", "0"), "the disk goes on");
	ktap_eq(share_counter(NULL, "failed"), 0, "nothing has failed");
	ktap_ok(!share_reads_middle("/b", NAME), "the next one reads");
	ktap_ok(!umount("/b") && !umount("/a") && !umount("/box") && dm_remove("hung"), "unmount all");
	return ktap_end();
}

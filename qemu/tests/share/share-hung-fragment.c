// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who needs a fragment from the disk of another mount, which hangs, can be killed
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY EROFS_FS_ZIP
 * image: frag share base -zlz4 -C65536 -Eall-fragments
 * image: chunk share base --chunksize=4096
 * device: blk:frag
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
#define FAR	1500000

static int maps(const char *dir, const char *name)
{
	volatile char *p = share_map(dir, name, BYTES);

	return p[FAR] == 'x';
}

int main(void)
{
	struct fiemap map;
	char hung[32], c;
	int fd;
	pid_t pid;

	ktap_begin();
	ktap_ok(dm_create("hung", "/dev/harness/blk0", "delay", "0", hung) && share_mount(hung, "/a", NULL) &&
		share_mount("/dev/harness/blk1", "/b", NULL), "mount two");
	close(share_open("/a", NAME));
	close(share_open("/b", NAME));
	drop_caches("1");
	/* of the older one metadata is there, the file's and that of the packed inode, and data is not */
	fd = share_open("/a", NAME);
	memset(&map, 0, sizeof(map));
	map.fm_length = BYTES;
	ktap_ok(!ioctl(fd, FS_IOC_FIEMAP, &map), "the file's extents are known");
	close(fd);
	ktap_ok(share_read("/a", "f.1", &c, 1) == 1, "something else is read");
	ktap_ok(dm_hang("hung"), "the older disk hangs");
	pid = dm_begin(share_reads_middle, "/b", NAME);
	ktap_ok(share_kill(pid, 5), "who reads can be killed");
	pid = dm_begin(maps, "/b", NAME);
	ktap_ok(share_kill(pid, 5), "who maps can be killed");
	ktap_ok(dm_reload("hung", "/dev/harness/blk0", "delay", "0"), "the disk goes on");
	ktap_eq(share_counter(hung, "failed"), 0, "nothing has failed");
	ktap_ok(!umount("/b") && !umount("/a") && dm_remove("hung"), "unmount all");
	return ktap_end();
}

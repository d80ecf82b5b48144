// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who is killed while he opens a file does not keep it from being shared
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY
 * image: base share base
 * image: chunk share base --chunksize=4096
 * device: blk:base
 * device: blk:chunk
 * cpus: 2
 * timeout: 60
 *
 * He waits for somebody else who reads the xattrs of the inode.
 */
#include <sys/xattr.h>

#include "dm.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.65536"

static int get_xattr(const char *dir, const char *name)
{
	char path[PATH_MAX], value[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	getxattr(path, "security.none", value, sizeof(value));
	return 0;
}

static int open_file(const char *dir, const char *name)
{
	return share_open(dir, name) < 0;
}

int main(void)
{
	static char got[65536];
	char hung[32];
	struct stat st;
	pid_t reader, opener;

	ktap_begin();
	ktap_ok(dm_create("hung", "/dev/harness/blk1", "delay", "0", hung) &&
		share_mount("/dev/harness/blk0", "/a", NULL) && share_mount(hung, "/b", NULL), "mount two");
	ktap_ok(share_read("/a", NAME, got, sizeof(got)) == sizeof(got), "one has read it");
	ktap_ok(!stat("/b/" NAME, &st), "the other one knows the inode");
	drop_caches("1");
	ktap_ok(dm_hang("hung"), "its disk hangs");
	reader = dm_begin(get_xattr, "/b", NAME);
	opener = dm_begin(open_file, "/b", NAME);
	ktap_ok(share_kill(opener, 5), "who opens the file is killed");
	ktap_ok(dm_reload("hung", "/dev/harness/blk1", "delay", "0"), "the disk goes on");
	ktap_ok(share_end(reader, 10) == 0, "the first one ends");
	ktap_eq(share_counter(hung, "refused"), 0, "no file is refused");
	ktap_ok(share_read("/a", NAME, got, sizeof(got)) == sizeof(got), "read it in one");
	ktap_eq(share_cached("/b", NAME), pages_of(65536), "the other one has the same pages");
	ktap_ok(!umount("/b") && !umount("/a") && dm_remove("hung"), "unmount all");
	return ktap_end();
}

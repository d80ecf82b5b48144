// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who is killed while he reads takes nobody with him who waits for the same physical cluster
 * series: 4-share/????-erofs-share-page-cache-between-files-of-equal-conten.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP DM_DELAY
 * image: lz4 share box -zlz4 -C65536
 * image: frag share box -zlz4 -C65536 -Eall-fragments
 * image: chunk share base --chunksize=4096
 * device: blk:lz4
 * device: blk:frag
 * device: blk:chunk
 * cpus: 2
 * timeout: 60
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.3000000"
#define FAR	1048576

/* One page, without readahead; errno tells, or 0. */
static int read_at(const char *dir, off_t at)
{
	int fd = share_open(dir, NAME);
	char c;

	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	return pread(fd, &c, 1, at) == 1 ? 0 : errno;
}

static int first(const char *dir, const char *name)
{
	(void)name;
	return read_at(dir, FAR);
}

/* The page is in the cache already, and was not read: so he reads it without readahead. */
static int second(const char *dir, const char *name)
{
	(void)name;
	return read_at(dir, FAR + 4096);
}

/* The older image is the file "image" of the file system on @disk. */
static void joined(const char *disk, const char *how, const char *reader)
{
	char hung[32], c;
	long long before = share_counter(NULL, "failed");
	pid_t one, two;
	int status;

	ktap_ok(dm_create("hung", disk, "delay", "0", hung) && share_plain(hung, "/box") &&
		share_mount("/box/image", "/a", NULL) && share_mount("/dev/harness/blk2", "/b", NULL),
		"%s: mount two", how);
	close(share_open("/a", NAME));
	close(share_open("/b", NAME));
	drop_caches("1");
	/* metadata is there, and data is not */
	ktap_ok(read_extents("/a/" NAME), "%s: the file's extents are known", how);
	ktap_ok(share_read("/a", "f.1", &c, 1) == 1, "%s: something else is read", how);
	ktap_ok(dm_hang("hung"), "%s: the older disk hangs", how);
	one = dm_begin(second, reader, NAME);
	ktap_ok(share_kill(one, 5), "%s: a page is left that was not read", how);
	one = dm_begin(first, reader, NAME);
	two = dm_begin(second, reader, NAME);
	ktap_ok(share_kill(one, 5), "%s: who came first is killed", how);
	status = share_end(two, 2);
	ktap_ok(status == -1, "%s: the other one goes on waiting (status %#x)", how, status);
	ktap_ok(dm_reload("hung", disk, "delay", "0"), "%s: the disk goes on", how);
	if (status == -1)
		ktap_eq(share_end(two, 10), 0, "%s: and he gets his bytes", how);
	ktap_eq(share_counter(NULL, "failed") - before, 0, "%s: nothing has failed", how);
	ktap_ok(!umount("/b") && !umount("/a") && !umount("/box") && dm_remove("hung"),
		"%s: unmount all", how);
}

int main(void)
{
	ktap_begin();
	joined("/dev/harness/blk0", "a cluster of a file", "/b");
	joined("/dev/harness/blk1", "a fragment", "/b");
	joined("/dev/harness/blk0", "in the image itself", "/a");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who puts a shared inode that fails meanwhile does not wait for reads of others
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE BLK_DEV_DM
 * image: base share base
 * image: chunk share base --chunksize=4096
 * device: blk:base
 * device: blk:chunk
 * cpus: 2
 * timeout: 90
 *
 * Mutant S58 looks whether the inode has failed, sleeps if its caller is named "sleeper", and
 * puts it then, which is how it was.
 */
#include <linux/fiemap.h>
#include <sys/prctl.h>
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.3000000"

/* Where the first byte of a file is on its disk, in sectors, or 0. */
static uint64_t first_sector(int fd)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extent;
	} request = { .map = { .fm_length = 1, .fm_extent_count = 1 } };

	if (ioctl(fd, FS_IOC_FIEMAP, &request) || !request.map.fm_mapped_extents)
		return 0;
	return request.extent.fe_physical / 512;
}

/* Let eight sectors of a device fail; the rest is that of @low. */
static bool fail_sectors(const char *name, const char *low, uint64_t at)
{
	struct dm_piece piece[] = {
		{ .sectors = at, .target = "linear" },
		{ .sectors = 8, .target = "error" },
		{ .sectors = dm_sectors(low) - at - 8, .target = "linear" },
	};

	snprintf(piece[0].params, sizeof(piece[0].params), "%s 0", low);
	snprintf(piece[2].params, sizeof(piece[2].params), "%s %llu", low, (unsigned long long)at + 8);
	return dm_load(name, piece, 3);
}

static int read_far(const char *dir, const char *name)
{
	char c;
	int fd = share_open(dir, name);

	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	return pread(fd, &c, 1, 2000000) != 1;
}

int main(void)
{
	char low[32], top[32], c;
	pid_t reader, sleeper;
	uint64_t at;
	int fd;

	ktap_begin();
	ktap_ok(dm_create("low", "/dev/harness/blk0", "linear", "", low) && dm_create("top", low, "linear", "", top) &&
		share_mount(top, "/a", NULL) && share_mount("/dev/harness/blk1", "/b", NULL), "mount two");
	fd = share_open("/a", NAME);
	at = first_sector(fd);
	close(fd);
	close(share_open("/b", NAME));
	ktap_eq(shared_inodes(), 2, "they share; one is the root of the internal mount");
	drop_caches("1");
	ktap_ok(at && fail_sectors("top", low, at), "a bad block, at sector %llu",
		(unsigned long long)at);
	ktap_ok(dm_hang("low"), "all others hang");
	reader = dm_begin(read_far, "/a", NAME);
	ktap_ok(share_kill(reader, 5), "a reader is killed");
	sleeper = fork();
	if (!sleeper) {
		prctl(PR_SET_NAME, "sleeper");
		_exit(umount("/b") ? errno : 0);
	}
	usleep(1000000);
	fd = share_open("/a", NAME);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	ktap_ok(pread(fd, &c, 1, 0) < 0 && errno == EIO, "read the bad block: %s", strerror(errno));
	close(fd);
	drop_caches("2");
	drop_caches("2");
	ktap_eq(share_end(sleeper, 9), 0, "the other one is unmounted");
	ktap_ok(dm_go("low"), "go on");
	share_settled(3);
	ktap_ok(!umount("/a") && dm_remove("top") && dm_remove("low"), "unmount all");
	ktap_eq(shared_inodes(), 0, "no shared inode is left");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

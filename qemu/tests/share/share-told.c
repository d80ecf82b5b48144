// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: counters tell who provides, and that a provider has gone, as documented
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base
 * image: chunk share base --chunksize=4096
 * image: lz4 share base -zlz4
 * device: blk:base
 * device: blk:chunk
 * device: blk:lz4
 * cpus: 2
 */
#include "ktap.h"
#include "share.h"

#define NAME	"f.65536"

static char got[65536];

int main(void)
{
	const char *o = "/dev/harness/blk0", *x = "/dev/harness/blk1", *y = "/dev/harness/blk2";
	long long before;
	int fd;

	ktap_begin();
	ktap_ok(share_mount(o, "/o", NULL) && share_mount(x, "/x", NULL) && share_mount(y, "/y", NULL), "mount three");
	close(share_open("/x", NAME));
	fd = share_open("/y", NAME);
	ktap_ok(read(fd, got, sizeof(got)) == sizeof(got), "the youngest is read, from the middle one");
	ktap_eq(share_counter(x, "cached_bytes"), 65536, "which provides");
	close(share_open("/o", NAME));
	close(share_open("/x", NAME));
	ktap_eq(share_counter(NULL, "cached_bytes"), 65536, "the middle one joins the oldest, nothing more is cached");
	ktap_eq(share_counter(o, "cached_bytes") + share_counter(x, "cached_bytes") + share_counter(y, "cached_bytes"),
		65536, "each page is some mount's");
	close(fd);
	ktap_ok(!umount("/y"), "the youngest goes");

	ktap_eq(share_read("/o", "f.8192", got, sizeof(got)), 8192, "a file of the oldest is read");
	drop_inodes();
	ktap_eq(share_counter(o, "attached"), 0, "its inode is reclaimed");
	before = share_counter(NULL, "provider_switches");
	ktap_eq(share_read("/x", "f.8192", got, sizeof(got)), 8192, "that of the middle one is read");
	ktap_eq(share_counter(NULL, "provider_switches") - before, 0, "no mount went, and no device");
	ktap_ok(!umount("/x") && !umount("/o"), "unmount all");
	return ktap_end();
}

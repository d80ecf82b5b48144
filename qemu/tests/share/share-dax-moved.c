// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: unmounting who has moved to a better shared inode leaves what others have mapped alone
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_RAMDAX
 * image: base share base --dax
 * device: pmem:base
 * device: pmem:base
 * device: pmem:base
 * timeout: 60
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "ktap.h"
#include "pages.h"
#include "share.h"

int main(void)
{
	int fd, before, after;
	char *p;

	ktap_begin();
	ktap_ok(share_mount("/dev/harness/pmem0", "/a", "dax=always") && share_mount("/dev/harness/pmem1", "/b", "dax=always") &&
		share_mount("/dev/harness/pmem2", "/c", "dax=always"), "mount");
	fd = open("/b/f.300001", O_RDONLY);
	p = mmap(NULL, 300001, PROT_READ, MAP_SHARED, fd, 0);
	for (int i = 0; i < 300001; i += 4096)
		(void)*(volatile char *)(p + i);
	close(open("/c/f.300001", O_RDONLY));	/* attaches to what b feeds */
	close(open("/a/f.300001", O_RDONLY));	/* founds a better one */
	close(open("/c/f.300001", O_RDONLY));	/* moves to it */
	before = resident(p, 300001);
	ktap_ok(!umount("/c"), "unmount the youngest");
	after = resident(p, 300001);
	ktap_ok(before == pages_of(300001) && after == before, "mapped pages of b: %d before, %d after", before, after);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: nobody has memory of a mount on DAX after its unmount, whether there is what it takes to share such memory or not
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE FS_DAX
 * image: base share base --dax
 * device: pmem:base
 * device: pmem:base
 */
#include "ktap.h"
#include "pages.h"
#include "share.h"
#include "system.h"

#define NAME	"f.3000000"

int main(void)
{
	volatile char *p;
	uint64_t own;

	ktap_begin();
	/* where the younger one's own copy is */
	ktap_ok(share_mount("/dev/pmem1", "/b", "dax=always"), "mount one");
	p = share_map("/b", NAME, 4096);
	(void)*p;
	own = page_frame(p);
	munmap((void *)p, 4096);
	ktap_ok(own && !umount("/b"), "its copy is at %#llx", (unsigned long long)own);

	ktap_ok(share_mount("/dev/pmem0", "/a", "dax=always") && share_mount("/dev/pmem1", "/b", "dax=always"),
		"mount two");
	close(share_open("/a", NAME));
	p = share_map("/b", NAME, 4096);
	(void)*p;
	printf("# it maps %#llx\n", (unsigned long long)page_frame(p));
	ktap_ok(!umount("/a"), "unmount the older one");
	(void)*p;
	ktap_eq(page_frame(p), own, "the younger one maps its own copy");
	munmap((void *)p, 4096);
	ktap_ok(!umount("/b"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

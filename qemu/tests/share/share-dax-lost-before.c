// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that a DAX device had lost before it was mounted makes a shared file fail for who maps it, too
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE MEMORY_FAILURE HWPOISON_INJECT PAGE_SIZE_4KB
 * image: base share base --dax
 * device: ramdax:base
 * device: pmem:base
 */
#include "lost.h"
#include "share.h"

#define NODE	"/dev/harness/ramdax0"
#define MAPPED	"f.3000000"
/* a byte of the page that is lost */
#define BAD	12288

static bool byte_is_there(const char *dir)
{
	volatile char *p = share_map(dir, MAPPED, 65536);
	bool there = !gives_sigbus(p + BAD);

	munmap((void *)p, 65536);
	return there;
}

int main(void)
{
	ktap_begin();
	sigbus_catch();
	ktap_ok(share_mount(NODE, "/a", NULL), "mount the older one");
	lost_page("/a/" MAPPED, BAD / getpagesize());
	ktap_ok(!umount("/a") && share_mount(NODE, "/a", NULL) &&
		share_mount("/dev/pmem0", "/b", "dax=always"), "mount it again, and a younger one");
	close(share_open("/a", MAPPED));
	ktap_ok(!byte_is_there("/b"), "who maps the page in the younger one gets SIGBUS");
	ktap_ok(byte_is_there("/b"), "opened anew, the younger one has its own copy");
	ktap_ok(!byte_is_there("/a"), "the older one has lost it");
	ktap_eq(share_counter(NULL, "failed"), 1, "one has failed");
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

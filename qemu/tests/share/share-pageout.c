// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: nobody pages out what others use
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base
 * image: chunk share base --chunksize=4096
 * device: blk:base
 * device: blk:chunk
 * cpus: 2
 * timeout: 90
 */
#include <linux/capability.h>

#include "ktap.h"
#include "share.h"

#define LARGE	"f.3000000"
#define BYTES	3000000
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static int pages_out(const char *dir, const char *name)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { 0 };
	volatile char *p = share_map(dir, name, BYTES);

	/* the owner, as the root of a container is, and no more */
	if (!p || syscall(SYS_capset, &head, none))
		return 1;
	for (int i = 0; i < BYTES; i += 4096)
		(void)p[i];
	return !!madvise((void *)p, BYTES, MADV_PAGEOUT);
}

int main(void)
{
	static char got[BYTES];
	long before, after;

	ktap_begin();
	ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL) && share_mount("/dev/harness/blk1", "/b", NULL), "mount two");
	close(share_open("/a", LARGE));
	ktap_ok(share_read("/b", LARGE, got, BYTES) == BYTES, "one is read");
	before = share_cached("/b", LARGE);
	ktap_ok(share_within(20, pages_out, "/a", LARGE), "page it out by the other");
	after = share_cached("/b", LARGE);
	ktap_ok(before == after && before, "pages that are cached: %ld, then %ld", before, after);
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
	return ktap_end();
}

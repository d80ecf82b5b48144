// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file without a usable fingerprint is not read through a mount whose disk was unplugged either
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: wrong share-forge malformed
 * device: blk:wrong
 * cpus: 2
 */
#include "ktap.h"
#include "share.h"
#include "sigbus.h"

#define NAME	"empty"
#define SIZE	10000

int main(void)
{
	volatile char *p;
	char c;
	int fd;

	ktap_begin();
	sigbus_catch();
	ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL), "mount");
	fd = share_open("/a", NAME);
	p = share_map("/a", NAME, SIZE);
	ktap_ok(fd >= 0 && p && !gives_sigbus(p) && pread(fd, &c, 1, 0) == 1, "a file is read");
	ktap_eq(share_counter("/dev/harness/blk0", "attached"), 0, "and is not shared");
	ktap_ok(share_unplug("/dev/harness/blk0"), "unplug its disk");
	usleep(300000);
	madvise((void *)p, SIZE, MADV_DONTNEED);
	ktap_fails(pread(fd, &c, 1, 0) < 0, EIO, "a read fails");
	ktap_ok(gives_sigbus(p), "a fault fails");
	munmap((void *)p, SIZE);
	close(fd);
	ktap_ok(!umount("/a"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

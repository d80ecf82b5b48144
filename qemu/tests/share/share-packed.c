// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a packed inode with a name and a fingerprint is not read by way of what it shares
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP
 * image: frag share base -zlz4
 * device: blk:frag
 * cpus: 2
 * timeout: 60
 */
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"
#include "packed.h"
#include "share.h"
#include "system.h"

/* to be killed if it does not come back */
static int try_read(const char *dir, const char *name)
{
	share_read_at(dir, name, 0);
	return 0;
}

int main(void)
{
	struct stat a, b;
	int one, two;

	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk0", "/mnt") && !stat("/mnt/same.1", &a) && !stat("/mnt/same.2", &b), "read an image");
	umount("/mnt");
	mkdir("/ram", 0755);
	ktap_ok(!mount("ramfs", "/ram", "ramfs", 0, NULL), "mount ramfs");
	/* each page is the next one of the packed inode, which is another file of equal content */
	ktap_ok(packed_forge("/dev/harness/blk0", a.st_ino, 4096, b.st_ino, "/ram/image"), "forge it");
	ktap_ok(share_mount("/ram/image", "/mnt", NULL), "mount it");
	one = share_open("/mnt", "same.1");
	two = share_open("/mnt", "same.2");
	ktap_ok(one >= 0 && two >= 0, "open both");
	ktap_ok(share_within(10, try_read, "/mnt", "same.1"), "the first is read, or is not");
	close(one);
	close(two);
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: if a further disk of a mount is unplugged, what is cached can be read still, and what is not gives EIO
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: blob share blob
 * image: base share base
 * device: blk:blob
 * device: blk:blob.blob
 * device: blk:base
 * cpus: 2
 * timeout: 60
 *
 * So erofs.rst says it.  The mount itself is not dead.
 */
#include "ktap.h"
#include "share.h"

static char buffer[3000000];

int main(void)
{
	int a, b;

	ktap_begin();
	ktap_ok(share_mount("/dev/harness/blk0", "/a", "device=/dev/harness/blk1") &&
		share_mount("/dev/harness/blk2", "/b", NULL), "mount two, the older one with a further disk");
	a = share_open("/a", "f.65536");
	ktap_eq(pread(a, buffer, sizeof(buffer), 0), 65536, "read a file of the older one");
	b = share_open("/b", "f.65536");
	ktap_eq(pread(b, buffer, sizeof(buffer), 0), 65536, "and of the younger one");
	ktap_ok(share_unplug("/dev/harness/blk1"), "unplug the further disk");
	sleep(1);
	ktap_eq(pread(a, buffer, sizeof(buffer), 0), 65536, "what is cached can be read through the older one");
	ktap_eq(share_read("/a", "f.65536", buffer, sizeof(buffer)), 65536, "also if it is opened anew");
	ktap_ok(share_read("/a", "f.3000000", buffer, sizeof(buffer)) < 0 && errno == EIO, "what is not gives EIO");
	ktap_eq(share_read("/b", "f.3000000", buffer, sizeof(buffer)), 3000000, "the younger one has its own copy");
	ktap_ok(share_counter("/dev/harness/blk0", "attached") > 0, "the mount is in sysfs still");
	close(a);
	close(b);
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a device whose pages nobody uses any more can be unbound as soon as it is unmounted
 * series: 3-memory
 * config: EROFS_FS_RAMDAX
 * image: large crafted unlinked
 * device: ramdax:large
 * memory: 512M
 * cpus: 2
 *
 * On one CPU the kernel looks after the claim before the process goes on.
 */
#include <limits.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "ktap.h"
#include "pages.h"
#include "system.h"

#define FSDEV	"/sys/bus/dax/drivers/fsdev_dax/"

int main(void)
{
	char node[PATH_MAX] = "", bytes[PAGE_ROOM];
	int end;

	ktap_begin();
	ktap_ok(realpath("/dev/harness/ramdax0", node), "%s", node);
	ktap_ok(!mount(node, "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	end = page_in_pipe("/mnt/file", 3, bytes);
	ktap_ok(end >= 0 && !umount("/mnt"), "unmount while a page is in a pipe");
	ktap_fails(!write_to(FSDEV "unbind", node + 5), EBUSY, "so it cannot be unbound");
	ktap_ok(!mount(node, "/mnt", "erofs", MS_RDONLY, NULL), "mount again");
	close(end);
	ktap_ok(!umount("/mnt"), "unmount while nobody uses a page");
	ktap_ok(write_to(FSDEV "unbind", node + 5), "unbind");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a lost page is still known after fsdev_dax was unbound and bound again
 * config: EROFS_FS_RAMDAX MEMORY_FAILURE HWPOISON_INJECT
 * image: tree tree --dax
 * device: ramdax:tree
 * timeout: 60
 */
#include <limits.h>
#include <stdlib.h>

#include "lost.h"

#define FSDEV	"/sys/bus/dax/drivers/fsdev_dax/"
#define FILE_NAME	"/mnt/data.65536"
/* a byte of the page that is lost */
#define BAD	12288L

int main(void)
{
	char node[PATH_MAX] = "";

	ktap_begin();
	ktap_ok(realpath("/dev/harness/ramdax0", node) && !mount(node, "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	lost_page(FILE_NAME, BAD / getpagesize());
	ktap_eq(lost_error(FILE_NAME, BAD), EIO, "a read fails");
	ktap_ok(!umount("/mnt") && !mount(node, "/mnt", "erofs", MS_RDONLY, NULL), "mount again");
	ktap_eq(lost_error(FILE_NAME, BAD), EIO, "a read fails");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(write_to(FSDEV "unbind", node + 5) && write_to(FSDEV "bind", node + 5), "unbind and bind");
	ktap_ok(!mount(node, "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	ktap_eq(lost_error(FILE_NAME, BAD), EIO, "a read fails");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

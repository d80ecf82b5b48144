// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a lost page is still known after dax_carveout was unbound from its range and bound again
 * series: 1-fixes/????-nd_pmem-remember-memory-errors.patch
 * config: EROFS_FS_RAMDAX MEMORY_FAILURE HWPOISON_INJECT PAGE_SIZE_4KB
 * image: tree tree -Enoinline_data
 * device: ramdax:tree
 * timeout: 60
 */
#include <limits.h>
#include <stdlib.h>

#include "carveout.h"
#include "lost.h"

#define FILE_NAME	"/mnt/data.65536"
#define BAD	3

int main(void)
{
	char node[PATH_MAX] = "";

	ktap_begin();
	ktap_ok(realpath("/dev/harness/ramdax0", node) && !mount(node, "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	lost_page(FILE_NAME, BAD);
	ktap_eq(lost_error(FILE_NAME, BAD * 4096), EIO, "a read fails");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(carveout_driver("unbind", 0) && carveout_driver("bind", 0), "unbind the range and bind it again");
	ktap_ok(!mount(node, "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	ktap_eq(lost_error(FILE_NAME, BAD * 4096), EIO, "a read fails");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

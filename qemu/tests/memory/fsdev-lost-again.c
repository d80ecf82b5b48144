// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a lost page is still known after fsdev_dax was unbound and bound again
 * series: 4-share/????-erofs-share-page-cache-between-files-of-equal-conten.patch
 * config: EROFS_FS_RAMDAX MEMORY_FAILURE HWPOISON_INJECT
 * image: tree tree -Enoinline_data
 * device: ramdax:tree
 * timeout: 60
 */
#include "ktap.h"
#include "pages.h"
#include "share.h"

#define FSDEV	"/sys/bus/dax/drivers/fsdev_dax/"
#define BAD	3

static uint64_t first_frame(void)
{
	FILE *file = fopen("/harness/devices", "r");
	unsigned long long start = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "ramdax0 range %llx", &start) == 1)
			break;
	return start >> 12;
}

static int error_of_read(void)
{
	int fd = open("/mnt/data.65536", O_RDONLY), error;
	char c;

	error = fd < 0 || pread(fd, &c, 1, BAD * 4096) != 1 ? errno : 0;
	close(fd);
	return error;
}

int main(void)
{
	char node[PATH_MAX] = "";
	int64_t place;

	ktap_begin();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(realpath("/dev/harness/ramdax0", node) && !mount(node, "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	place = place_of("/mnt/data.65536");
	ktap_ok(page_poison(first_frame() + place / 4096 + BAD), "lose a page");
	ktap_eq(error_of_read(), EIO, "a read fails");
	ktap_ok(!umount("/mnt") && !mount(node, "/mnt", "erofs", MS_RDONLY, NULL), "mount again");
	ktap_eq(error_of_read(), EIO, "a read fails");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(write_to(FSDEV "unbind", node + 5) && write_to(FSDEV "bind", node + 5), "unbind and bind");
	ktap_ok(!mount(node, "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	ktap_eq(error_of_read(), EIO, "a read fails");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

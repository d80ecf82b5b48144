// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a mount that hears of no removal (device-mapper) can be unmounted after it, with files that were mapped
 * series: 1-fixes
 * config: FS_DAX BLK_DEV_DM
 * image: tree tree -Enoinline_data
 * device: pmem:tree
 */
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include "dm.h"
#include "ktap.h"
#include "system.h"

int main(void)
{
	char real[PATH_MAX] = "", device[64];
	volatile char *p;
	int fd;

	ktap_begin();
	realpath("/sys/block/pmem0/device", real);
	ktap_ok(dm_create("over", "/dev/pmem0", "linear", "", device), "device-mapper");
	ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount");
	fd = open("/mnt/data.65536", O_RDONLY);
	p = mmap(NULL, 65536, PROT_READ, MAP_SHARED, fd, 0);
	for (int i = 0; i < 16; i++)
		(void)p[i * 4096];
	ktap_ok(write_to("/sys/bus/nd/drivers/nd_pmem/unbind", basename(real)), "remove the device");
	munmap((void *)p, 65536);
	close(fd);
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

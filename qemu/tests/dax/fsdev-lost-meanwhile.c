// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that is lost while fsdev_dax lets go of its memory is lost for whoever has it next
 * config: DEV_DAX_HMEM DEV_DAX_FSDEV EROFS_FS_RAMDAX MEMORY_FAILURE HWPOISON_INJECT
 * image: base share base --dax
 * device: blk:base
 * memory: 1024M
 * append: memmap=512M%256M-1+0xefffffff dax_hmem.region_idle=1
 * cpus: 2
 * flavours: fast
 * timeout: 60
 */
#include <sys/stat.h>

#include "hmem.h"
#include "lost-meanwhile.h"
#include "pages.h"

#define BYTES	(512L << 20)
#define FIRST	(256ULL << 20 >> 12)
#define FILE	"/mnt/f.3000000"
#define PAGES	700	/* of the file */

static int error_of(int page)
{
	int fd = open(FILE, O_RDONLY), error;
	char c;

	error = pread(fd, &c, 1, page * 4096L) == 1 ? 0 : errno;
	close(fd);
	return error;
}

int main(void)
{
	struct meanwhile *m;
	int64_t place;

	ktap_begin();
	ktap_ok(!hmem_resize(BYTES) && !driver(BUS_DAX "device_dax/bind", "dax0.0") && devdax_fill() &&
		!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "fsdev_dax/bind", "dax0.0"), "an image in memory");
	ktap_ok(!mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	place = place_of(FILE);
	ktap_ok(place > 0 && !umount("/mnt"), "unmount");
	m = lost_meanwhile(BUS_DAX "fsdev_dax", "dax0.0", FIRST + place / 4096, PAGES, 20);
	wait_for_file(NODE, 5);
	ktap_ok(!mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	meanwhile_check(m, error_of, PAGES);
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

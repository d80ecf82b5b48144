// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that was lost while its memory was RAM of the kernel is known to who mounts it
 * series: 2-dax/????-dax-kmem-hand-on-which-pages-were-lost-as-system-RAM.patch
 * config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_PMEM DEV_DAX_KMEM X86_PMEM_LEGACY MEMORY_FAILURE HWPOISON_INJECT
 * image: tree tree -Enoinline_data
 * device: blk:tree
 * memory: 1024M
 * append: memmap=256M!512M
 * timeout: 100
 */
/* memory blocks of 128 MiB */
#define DATA	(128UL << 20)
#include "devdax.h"
#include "lost.h"

#define FILE_NAME	"/mnt/data.65536"
#define START		(640UL << 20)
#define BAD		3

int main(void)
{
	int64_t place = 0;

	ktap_begin();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(!mount("/dev/harness/blk0", "/mnt", "erofs", MS_RDONLY, NULL) && (place = place_of(FILE_NAME)) > 0 &&
		!umount("/mnt"), "find where a file is");
	ktap_ok(!fill(), "write an image and an info block");
	driver(BUS_ND "nd_pmem/unbind", "namespace0.0");
	driver(BUS_ND "nd_pmem/bind", "namespace0.0");
	ktap_ok(image_can_be_mapped() && is_bound("device_dax"), "it is a DAX device, of device_dax");
	ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "kmem/new_id", "dax0.0") && is_bound("kmem"), "give it to kmem");
	write_to("/sys/devices/system/memory/memory5/state", "online_movable");
	page_poison(START / 4096 + place / 4096 + BAD);
	ktap_ok(write_to("/sys/devices/system/memory/memory5/state", "offline"), "take it offline");
	ktap_ok(!driver(BUS_DAX "kmem/unbind", "dax0.0") && !driver(BUS_DAX "device_dax/bind", "dax0.0"), "give it to device_dax");
	ktap_ok(devdax_fill(), "write the image again");
	ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "fsdev_dax/bind", "dax0.0"), "give it to fsdev_dax");
	ktap_ok(!mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	ktap_eq(lost_error(FILE_NAME, (BAD - 1) * 4096), 0, "a read of another page does not fail");
	ktap_eq(lost_error(FILE_NAME, BAD * 4096), EIO, "a read of the lost page fails");
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

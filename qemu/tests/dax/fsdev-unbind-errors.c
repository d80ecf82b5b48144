// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: memory errors while fsdev_dax loses a device of which a pipe has a page
 * series: 3-memory
 * config: EROFS_FS_RAMDAX MEMORY_FAILURE HWPOISON_INJECT
 * image: tree tree --dax
 * device: ramdax:tree
 */
#include <sys/mount.h>

#include "carveout.h"
#include "ktap.h"
#include "pages.h"
#include "unbind-errors.h"

int main(void)
{
	char bytes[PAGE_ROOM], driver[128], device[64];
	uint64_t frame;

	ktap_begin();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(!mount("/dev/dax0.0", "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	ktap_ok(page_in_pipe("/mnt/data.65536", 0, bytes) >= 0, "a page in a pipe");
	frame = file_frame("/mnt/data.65536");
	ktap_ok(!umount("/mnt"), "unmount");
	carveout_names(driver, sizeof(driver), "unbind", device, sizeof(device), 0);
	ktap_ok(unbind_beside(frame, driver, device), "remove the device beside memory errors");
	ktap_eq(times_said("pages are still in use: the memory cannot be used again"), 1, "it is said that the memory stays");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

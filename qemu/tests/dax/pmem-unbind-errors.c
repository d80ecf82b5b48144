// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: memory errors while nd_pmem lets go of memory that a pipe has a page of
 * series: 3-memory
 * config: MEMORY_FAILURE HWPOISON_INJECT
 * image: tree tree --dax
 * device: pmem:tree
 */
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "ktap.h"
#include "pages.h"
#include "unbind-errors.h"

int main(void)
{
	char real[PATH_MAX] = "", bytes[PAGE_ROOM];
	uint64_t frame;

	ktap_begin();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	realpath("/sys/block/pmem0/device", real);
	ktap_ok(!mount("/dev/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount");
	ktap_ok(page_in_pipe("/mnt/data.65536", 0, bytes) >= 0, "a page in a pipe");
	frame = file_frame("/mnt/data.65536");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(unbind_beside(frame, "/sys/bus/nd/drivers/nd_pmem/unbind", basename(real)), "unbind beside memory errors");
	ktap_eq(times_said("pages are still in use: the memory cannot be used again"), 1, "it is said that the memory stays");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

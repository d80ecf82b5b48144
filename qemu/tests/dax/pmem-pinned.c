// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page of a block device with DAX that somebody has in a pipe is there as long as he has it, though the device is removed
 * series: 3-memory
 * image: tree tree --dax
 * device: pmem:tree
 */
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "ktap.h"
#include "pages.h"
#include "system.h"

int main(void)
{
	char real[PATH_MAX] = "", want[PAGE_ROOM], got[PAGE_ROOM];
	int end;

	ktap_begin();
	realpath("/sys/block/pmem0/device", real);
	ktap_ok(!mount("/dev/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount");
	end = page_in_pipe("/mnt/data.65536", 0, want);
	ktap_ok(end >= 0, "a page in a pipe");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(write_to("/sys/bus/nd/drivers/nd_pmem/unbind", basename(real)), "remove the device");
	ktap_ok(read(end, got, sizeof(got)) == getpagesize() && !memcmp(got, want, getpagesize()), "the page is there");
	close(end);
	ktap_ok(times_said("pages are still in use: the memory cannot be used again"), "it is said that it was in use");
	/* the driver core says 0 for a probe that failed */
	write_to("/sys/bus/nd/drivers/nd_pmem/bind", basename(real));
	ktap_fails(access("/dev/pmem0", F_OK) < 0, ENOENT, "nobody gets this memory again");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: memory errors while device_dax lets go of memory that a pipe has a page of
 * config: DEV_DAX_HMEM MEMORY_FAILURE HWPOISON_INJECT
 * image: tree tree
 * device: blk:tree
 * append: memmap=64M%128M-1+0xefffffff dax_hmem.region_idle=1
 * timeout: 60
 */
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/uio.h>

#include "guest.h"
#include "hmem.h"
#include "ktap.h"
#include "pages.h"
#include "unbind-errors.h"

/* Keep the first page of the DAX device in a pipe. Return: its page frame, or 0 */
static uint64_t hold_devdax(int *end)
{
	struct iovec iov = { .iov_len = getpagesize() };
	size_t size;
	char *p = devdax_map(&size);
	uint64_t frame;
	int ends[2];

	if (p == MAP_FAILED || pipe(ends))
		return 0;
	iov.iov_base = p;
	if (vmsplice(ends[1], &iov, 1, 0) != getpagesize())
		return 0;
	frame = page_frame(p);
	munmap(p, size);
	*end = ends[0];
	return frame;
}

int main(void)
{
	uint64_t frame;
	int end = -1;

	ktap_begin();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(!hmem_resize(HMEM_BYTES) && !driver(BUS_DAX "device_dax/bind", "dax0.0") && is_bound("device_dax"),
		"make a DAX device");
	frame = hold_devdax(&end);
	ktap_ok(end >= 0, "a page in a pipe");
	ktap_ok(unbind_beside(frame, BUS_DAX "device_dax/unbind", "dax0.0"), "unbind beside memory errors");
	ktap_eq(times_said("pages are still in use: the memory cannot be used again"), 1, "it is said that the memory stays");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

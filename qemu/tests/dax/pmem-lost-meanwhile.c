// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that is lost while nd_pmem lets go of its memory is lost for whoever has it next
 * series: 1-fixes
 * config: X86_PMEM_LEGACY MEMORY_FAILURE FS_DAX HWPOISON_INJECT
 * memory: 512M
 * cpus: 2
 * append: memmap=128M!256M
 * flavours: fast
 * timeout: 60
 *
 * The memory has a section of 128 MiB of its own: where RAM is beside it, memory_failure() takes
 * pages of a device that is going for RAM.
 */
#include "lost-meanwhile.h"

#define FIRST	(256ULL << 20 >> 12)
#define META	64	/* pages; not to be read by who looks for partitions */

static int error_of(int page)
{
	static char buf[4096] __attribute__((aligned(4096)));
	int fd = open("/dev/pmem0", O_RDONLY | O_DIRECT);
	int error = pread(fd, buf, 4096, (META + page) * 4096L) == 4096 ? 0 : errno;

	close(fd);
	return error;
}

int main(void)
{
	struct meanwhile *m;

	ktap_begin();
	m = lost_meanwhile("/sys/bus/nd/drivers/nd_pmem", "namespace0.0", FIRST + META, MOST_PAGES, 30);
	wait_for_file("/dev/pmem0", 5);
	meanwhile_check(m, error_of, MOST_PAGES);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

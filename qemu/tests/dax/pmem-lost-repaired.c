// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that nd_pmem has repaired is good for whoever has it next, however it was written
 * config: EROFS_FS_RAMDAX X86_PMEM_LEGACY MEMORY_FAILURE HWPOISON_INJECT
 * append: memmap=16M!128M
 * timeout: 60
 */
#include "lost.h"

#define FIRST		(128ULL << 20 >> 12)
#define ND_PMEM	"/sys/bus/nd/drivers/nd_pmem/"

static char buf[4096] __attribute__((aligned(4096)));

static int error_of(int page)
{
	int fd = open("/dev/pmem0", O_RDONLY | O_DIRECT);
	int error = pread(fd, buf, 4096, page * 4096L) == 4096 ? 0 : errno;

	close(fd);
	return error;
}

int main(void)
{
	int fd, n = 0;

	ktap_begin();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	for (int page = 100; page <= 300; page += 100)
		page_poison(FIRST + page);
	ktap_ok(error_of(100) == EIO && error_of(200) == EIO && error_of(300) == EIO, "three pages are lost");
	memset(buf, 'x', 4096);
	fd = open("/dev/pmem0", O_RDWR | O_DIRECT);
	ktap_eq(pwrite(fd, buf, 4096, 100 * 4096), 4096, "write one as a whole");
	for (int i = 0; i < 8; i++)
		n += pwrite(fd, buf, 512, 200 * 4096 + 512 * i) == 512;
	ktap_eq(n, 8, "write one by sectors");
	close(fd);
	ktap_eq(error_of(100), 0, "the first can be read");
	ktap_eq(error_of(200), 0, "the second can be read");
	ktap_ok(write_to(ND_PMEM "unbind", "namespace0.0") && write_to(ND_PMEM "bind", "namespace0.0"), "unbind and bind");
	wait_for_file("/dev/pmem0", 1);
	ktap_eq(error_of(100), 0, "the first can be read");
	ktap_eq(error_of(200), 0, "the second can be read");
	ktap_eq(error_of(300), EIO, "the third cannot");
	return ktap_end();
}

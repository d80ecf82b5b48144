// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: memory errors in the instant in which nd_pmem lets go of its memory do no harm
 * series: 1-fixes
 * config: X86_PMEM_LEGACY MEMORY_FAILURE HWPOISON_INJECT FS_DAX
 * flavours: debug
 * memory: 512M
 * cpus: 2
 * append: memmap=128M!256M
 * timeout: 90
 */
#include <sys/mount.h>

#include "ktap.h"
#include "unbind-errors.h"

#define ND_PMEM	"/sys/bus/nd/drivers/nd_pmem/"
#define FRAME	((256L << 20 >> 12) + 4096)	/* one in the middle, 16 MiB behind the first */
#define SECONDS	4

/* Not beside bind: struct pages can be found there before they are made, see MAINTAINERS-notes.md. */
int main(void)
{
	int turns = 0, lived = 0;
	double end;

	ktap_begin();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(!access("/dev/pmem0", F_OK), "a block device");
	end = seconds_now() + SECONDS;
	while (seconds_now() < end || turns < 3) {
		lived += unbind_beside(FRAME, ND_PMEM "unbind", "namespace0.0");
		write_to(ND_PMEM "bind", "namespace0.0");
		turns++;
	}
	ktap_eq(lived, turns, "who reports errors lives through each unbind");
	ktap_ok(times_said("recovery action for dax page") > 3, "errors came");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: memory errors in the instant in which nd_pmem lets go of its memory do no harm
 * series: 1-fixes
 * config: X86_PMEM_LEGACY MEMORY_FAILURE FS_DAX
 * flavours: debug
 * memory: 512M
 * cpus: 2
 * append: memmap=128M!256M
 * timeout: 90
 */
#include <signal.h>
#include <sys/wait.h>

#include "ktap.h"
#include "system.h"

#define ND_PMEM	"/sys/bus/nd/drivers/nd_pmem/"
#define FIRST	(256L << 20)
#define SECONDS	4

int main(void)
{
	pid_t parent = getpid(), pid;
	int turns = 0, status = 0;
	double end;

	ktap_begin();
	ktap_ok(!access("/dev/pmem0", F_OK), "a block device");
	pid = fork();
	if (!pid) {
		die_with(parent);
		/* four pages, again and again: as the machine check of a reader would */
		for (unsigned int i = 0; ; i++) {
			char text[32];

			snprintf(text, sizeof(text), "%#lx", FIRST + (4096L << 8) + i % 4 * 4096L);
			write_to("/sys/devices/system/memory/hard_offline_page", text);
		}
	}
	end = seconds_now() + SECONDS;
	while (seconds_now() < end) {
		write_to(ND_PMEM "unbind", "namespace0.0");
		write_to(ND_PMEM "bind", "namespace0.0");
		turns++;
	}
	ktap_eq(waitpid(pid, &status, WNOHANG), 0, "who reports errors is alive");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ktap_ok(turns > 3, "the driver came %d times", turns);
	ktap_ok(times_said("recovery action for dax page") > 3, "errors came");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

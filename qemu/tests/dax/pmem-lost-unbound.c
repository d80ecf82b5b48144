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

/* Errors in four pages, again and again, until killed: as the machine check of a reader would. */
static pid_t errors(void)
{
	pid_t parent = getpid(), pid = fork();
	char text[32];

	if (pid)
		return pid;
	die_with(parent);
	for (unsigned int i = 0; ; i++) {
		snprintf(text, sizeof(text), "%#lx", FIRST + (4096L << 8) + i % 4 * 4096L);
		write_to("/sys/devices/system/memory/hard_offline_page", text);
	}
}

/* Not beside bind: struct pages can be found there before they are made, see MAINTAINERS-notes.md. */
int main(void)
{
	int turns = 0, status, killed = 0;
	double end;
	pid_t pid;

	ktap_begin();
	ktap_ok(!access("/dev/pmem0", F_OK), "a block device");
	end = seconds_now() + SECONDS;
	while (seconds_now() < end || turns < 3) {
		pid = errors();
		usleep(50000);
		write_to(ND_PMEM "unbind", "namespace0.0");
		kill(pid, SIGKILL);
		/* an oops would have ended it by another signal */
		killed += waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		write_to(ND_PMEM "bind", "namespace0.0");
		turns++;
	}
	ktap_eq(killed, turns, "who reports errors lives through each unbind");
	ktap_ok(times_said("recovery action for dax page") > 3, "errors came");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

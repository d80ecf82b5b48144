// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a mount that cannot remember a further memory error tells who has mapped the page, and takes all pages away
 * series: 3-memory
 * config: EROFS_FS_RAMDAX MEMORY_FAILURE HWPOISON_INJECT PAGE_SIZE_4KB
 * image: chunks chunks --chunksize=4096
 * device: ramdax:chunks
 * timeout: 120
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "lost.h"

/* stretches that are remembered, with pages of 4 KiB */
#define MOST	512

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	_exit(info->si_code);
}

/* A child that has mapped the first page of a file, and wants to know when it is lost. */
static pid_t map_in_child(const char *path)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	int ready[2];
	pid_t pid;
	char c;

	if (pipe(ready))
		return -1;
	pid = fork();
	if (!pid) {
		int fd = open(path, O_RDONLY);
		volatile char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

		sigaction(SIGBUS, &sa, NULL);
		prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
		(void)*p;
		if (write(ready[1], "", 1) != 1)
			_exit(101);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		ktap_note("the child is not ready");
	close(ready[0]);
	return pid;
}

int main(void)
{
	volatile char *p;
	int status = -1, lost = 0, fd;
	int64_t huge, one;
	pid_t pid;

	ktap_begin();
	sigbus_catch();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(!mount("/dev/harness/ramdax0", "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	huge = place_of("/mnt/huge1");
	one = place_of("/mnt/one");
	fd = open("/mnt/huge2", O_RDONLY);
	/* one page alone: who has mapped what is lost gets signals */
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
	pid = map_in_child("/mnt/one");
	ktap_ok(huge > 0 && one > 0 && pid > 0 && !gives_sigbus(p), "map a page of two files each");
	while (lost < MOST && page_poison(lost_device() + huge / 4096 + 2 * lost))
		lost++;
	ktap_eq(lost, MOST, "lose every other page of one");
	ktap_ok(!gives_sigbus(p) && lost_error("/mnt/huge2", 4096) == 0, "the others can be used");
	ktap_eq(lost_error("/mnt/huge2", 8192), EIO, "those cannot");
	ktap_ok(!times_said("too many memory errors"), "the mount lives on");
	ktap_ok(page_poison(lost_device() + one / 4096), "lose a page of the other one");
	ktap_ok(times_said("too many memory errors"), "that is too much, and it is said");
	/* the signal is there already, if there is one at all */
	for (int i = 0; i < 100 && waitpid(pid, &status, WNOHANG) != pid; i++)
		usleep(100000);
	kill(pid, SIGKILL);
	ktap_ok(WIFEXITED(status) &&
		ktap_is(WEXITSTATUS(status), ==, BUS_MCEERR_AO), "who has mapped that page is told");
	ktap_ok(gives_sigbus(p), "nobody can use his mapping any more");
	ktap_eq(lost_error("/mnt/one", 8192), EIO, "nor read a file");
	munmap((void *)p, 4096);
	close(fd);
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

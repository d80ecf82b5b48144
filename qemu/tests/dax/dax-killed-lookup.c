// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who is killed while the inode of a file is read does not keep the file off DAX
 * config: EROFS_FS_RAMDAX FS_DAX PAGE_SIZE_4KB
 * image: hole hole -b1024 --chunksize=4096 --dsunit=4
 * device: pmem:hole
 * cpus: 2
 * timeout: 90
 *
 * With blocks below the page size each extent of the file is looked at.
 */
#include "ktap.h"
#include "share.h"

/* pages of page cache that a mapping of it takes */
static long cached_pages(void)
{
	volatile char *p = share_map("/m", "big", 4096);
	long n;

	(void)*p;
	n = share_cached("/m", "big");
	munmap((void *)p, 4096);
	return n;
}

static void again(void)
{
	umount("/m");
	mount("/dev/harness/pmem0", "/m", "erofs", MS_RDONLY, "dax=always");
}

int main(void)
{
	volatile int *begun = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double start, took = 0;
	struct stat st;
	int bad = 0, killed = 0;

	ktap_begin();
	mkdir("/m", 0755);
	ktap_ok(!mount("/dev/harness/pmem0", "/m", "erofs", MS_RDONLY, "dax=always"), "mount");
	for (int i = 0; i < 3; i++) {
		start = seconds_now();
		stat("/m/big", &st);
		if (!i || seconds_now() - start < took)
			took = seconds_now() - start;
		again();
	}
	ktap_note("to look it up takes %.1f ms", took * 1000);
	ktap_eq(cached_pages(), 0, "it is mapped by DAX");
	for (int i = 0; i < 40; i++) {
		int status;
		pid_t pid;

		again();
		*begun = 0;
		pid = fork();
		if (!pid) {
			*begun = 1;
			stat("/m/big", &st);
			_exit(0);
		}
		while (!*begun)
			;
		usleep(took * 1e6 * (i % 10) / 10);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		killed += WIFSIGNALED(status);
		bad += cached_pages() != 0;
	}
	ktap_ok(!bad, "%d killed, then in page cache: %d", killed, bad);
	ktap_ok(!umount("/m"), "unmount");
	return ktap_end();
}

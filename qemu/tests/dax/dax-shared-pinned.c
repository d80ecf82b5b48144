// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that is pinned through one file does not make the other's eviction warn
 * config: EROFS_FS_RAMDAX
 * image: chunks chunks --chunksize=4096
 * device: ramdax:chunks
 * cpus: 2
 * timeout: 120
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "carveout.h"
#include "ktap.h"
#include "system.h"

#define SIZE 4194304

int main(void)
{
	int status, rounds = 0;
	double end;
	pid_t pid;

	ktap_begin();
	if (!ktap_ok(!mount("/dev/dax0.0", "/mnt", "erofs", MS_RDONLY, NULL), "mount"))
		return ktap_end();
	pid = fork();
	if (!pid) {
		int fd = open("/mnt/huge2", O_RDONLY), ends[2];
		char *p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
		static char buf[4096];
		unsigned int n = 0;

		pipe(ends);
		for (;; n++) {
			struct iovec iov = { p + (n * 37 % 1024) * 4096, 4096 };

			if (vmsplice(ends[1], &iov, 1, 0) != 4096)
				_exit(1);
			if (read(ends[0], buf, 4096) != 4096)
				_exit(2);
		}
	}
	for (end = seconds_now() + 20; seconds_now() < end && kernel_is_content(); rounds++) {
		int fd = open("/mnt/huge1", O_RDONLY);
		char *p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);

		close(fd);
		for (size_t at = 0; at < SIZE; at += 4096)
			(void)*(volatile char *)(p + at);
		munmap(p, SIZE);
		drop_inodes();
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ktap_note("%d rounds, %#x", rounds, status);
	ktap_ok(ktap_is(rounds, >, 3), "pages were evicted while they were pinned");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

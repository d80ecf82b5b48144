// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: fault-around maps nothing that reclaim is deleting
 * config: EROFS_FS_RAMDAX
 * image: base share base --dax
 * device: pmem:base
 * cpus: 2
 * timeout: 90
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "ktap.h"
#include "pages.h"
#include "system.h"

#define SIZE 3000000

/* DAX mappings of the mount */
static long mapped_bytes(void)
{
	return number_in("/sys/fs/erofs/pmem0/dax/mapped_bytes");
}

int main(void)
{
	volatile int *state = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long rounds = 0, delay = 20000, step, lost = 0, before = 0, partial = 0;
	time_t end;
	pid_t pid;

	ktap_begin();
	ktap_ok(!mount("/dev/harness/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount");
	pid = fork();
	if (!pid) {
		int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

		for (;;) {
			while (*state != 1)
				;
			*state = 2;
			for (int i = 0; i < 4; i++)
				pwrite(fd, "2", 1, 0);
			*state = 0;
		}
	}
	for (end = time(NULL) + 25; time(NULL) < end; rounds++) {
		int fd = open("/mnt/f.3000000", O_RDONLY);
		char *p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
		long n;
		int in;

		step = delay / 8 + 100;
		madvise(p, SIZE, MADV_NOHUGEPAGE);
		for (size_t at = 0; at < SIZE; at += 4096)
			(void)*(volatile char *)(p + at);
		munmap(p, SIZE);
		close(fd);
		*state = 1;
		while (*state == 1)
			;
		for (volatile long spin = delay + step * (rounds % 9 - 4) / 4; spin > 0; spin--)
			;
		fd = open("/mnt/f.3000000", O_RDONLY);
		p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
		(void)*(volatile char *)(p + SIZE - 1);
		while (*state)
			;
		in = resident(p + SIZE / 4096 * 4096, 4096);
		n = mapped_bytes();
		if (n < 3000000 && n > 200000)
			partial++;
		if (in > 0 && n == 0)
			lost++;
		if (n >= 2998272)
			before++, delay += delay > 3000000 ? -2900000 : step;
		else
			delay -= delay > step ? step : 0;
		munmap(p, SIZE);
		close(fd);
	}
	kill(pid, SIGKILL);
	ktap_note("%ld rounds, delay %ld, %ld not shrunk, %ld partial", rounds, delay, before, partial);
	ktap_ok(!lost, "%ld times a page was mapped that has no entry", lost);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

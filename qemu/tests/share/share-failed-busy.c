// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a shared file fails when a page of it cannot be read, though somebody else reads other pages meanwhile
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: cut share cut
 * image: base share base
 * device: blk:cut
 * device: blk:cut.blob
 * device: blk:base
 * cpus: 2
 * memory: 512M
 * timeout: 120
 */
#include <sched.h>

#include "ktap.h"
#include "share.h"

#define NAME	"f.3000000"
#define TRIES	60

/* Fault in the pages before the cut one by one, without readahead. */
static void read_good(volatile bool *stop, volatile bool *ready)
{
	volatile char *p = share_map("/b", NAME, 3000000);

	madvise((void *)p, 3000000, MADV_RANDOM);
	for (off_t at = 0; at < 2 << 20 && !*stop; at += 4096) {
		(void)p[at];
		*ready = at > 16384;
	}
}

int main(void)
{
	volatile bool *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int good = 0, errors = 0, mounts = 0;

	ktap_begin();
	for (int i = 0; i < TRIES; i++) {
		long long before = share_counter(NULL, "failed");
		pid_t pid;
		char c;

		if (!share_mount("/dev/harness/blk0", "/a", "device=/dev/harness/blk1") ||
		    !share_mount("/dev/harness/blk2", "/b", NULL))
			break;
		mounts++;
		int fd = share_open("/a", NAME);

		posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
		shared[0] = shared[1] = false;
		pid = fork();
		if (!pid) {
			read_good(shared, shared + 1);
			_exit(0);
		}
		while (!shared[1])
			sched_yield();
		errors += pread(fd, &c, 1, 2900000) < 0 && errno == EIO;
		shared[0] = true;
		waitpid(pid, NULL, 0);
		close(fd);
		good += share_counter(NULL, "failed") == before + 1;
		if (umount("/b") || umount("/a"))
			break;
	}
	ktap_eq(mounts, TRIES, "mount two, each time");
	ktap_eq(errors, TRIES, "a page behind the cut gives EIO");
	ktap_eq(good, TRIES, "and the shared file fails");
	return ktap_end();
}

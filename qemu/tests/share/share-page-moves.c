// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: pages of shared files that are moved, reclaimed or lost are missed by no reader
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE COMPACTION MEMCG MEMORY_FAILURE USER_NS
 * image: base share base
 * image: lz4 share base -zlz4 -C65536
 * device: blk:base
 * device: blk:lz4
 * cpus: 2
 * timeout: 120
 */
#include <sched.h>

#include "cgroup.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.3000000"
#define SIZE	3000000
#define GROUP	CGROUPS "/small"
#define SECONDS	5

static char right[SIZE], got[SIZE];
static volatile int *stop;

/* Read and map a file until told to stop. */
static int reads_on(const char *dir, const char *limited)
{
	volatile char *p = share_map(dir, NAME, SIZE);

	if (*limited && !write_to(GROUP "/cgroup.procs", "0"))
		return 2;
	if (!p)
		return 3;
	while (!*stop) {
		if (share_read(dir, NAME, got, SIZE) != SIZE || memcmp(got, right, SIZE))
			return 4;
		if (memcmp((void *)p, right, SIZE))
			return 5;
	}
	return 0;
}

static pid_t start(const char *dir, const char *limited)
{
	pid_t pid = fork();

	if (!pid)
		_exit(reads_on(dir, limited));
	return pid;
}

static bool loses_page(const char *dir, int page)
{
	volatile char *p = share_map(dir, NAME, SIZE);
	bool lost;

	(void)p[4096 * page];
	lost = !madvise((void *)(p + 4096 * page), 4096, MADV_HWPOISON);
	munmap((void *)p, SIZE);
	return lost;
}

static int reads_in_namespace(const char *dir, const char *name)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return 2;
	return share_read(dir, name, got, SIZE) != SIZE || memcmp(got, right, SIZE);
}

int main(void)
{
	long moved = 0, lost = 0;
	pid_t pids[4];
	double end;

	ktap_begin();
	stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ktap_ok(share_plain("/dev/harness/blk0", "/p") && share_read("/p", NAME, right, SIZE) == SIZE && !umount("/p"),
		"what is in the file");
	ktap_ok(share_mount("/dev/harness/blk1", "/a", NULL) && share_mount("/dev/harness/blk0", "/b", NULL), "mount");
	cgroup_make("small");
	ktap_ok(write_to(GROUP "/memory.max", "12M"), "a cgroup with little memory");

	pids[0] = start("/a", "");
	pids[1] = start("/b", "");
	pids[2] = start("/b", "limited");
	pids[3] = start("/a", "limited");
	for (end = seconds_now() + SECONDS; seconds_now() < end; ) {
		volatile char *p = share_map("/b", NAME, SIZE);
		volatile char *at = p + 4096 * (rand() % (SIZE / 4096));

		(void)*at;
		moved += write_to("/proc/sys/vm/compact_memory", "1");
		madvise((void *)p, SIZE, MADV_COLD);
		(void)*at;
		if (!(rand() % 8))
			write_to("/proc/sys/vm/drop_caches", "1");
		munmap((void *)p, SIZE);
	}
	*stop = 1;
	for (int i = 0; i < 4; i++)
		ktap_eq(share_end(pids[i], 20), 0, "reader %d", i);
	ktap_ok(ktap_is(moved, >, 3), "memory was compacted");
	for (int i = 0; i < 20; i++)
		lost += loses_page("/b", rand() % (SIZE / 4096));
	ktap_ok(ktap_is(lost, >, 0), "%ld pages are lost", lost);
	for (int i = 0; i < 2; i++)
		ktap_ok(share_read(i ? "/b" : "/a", NAME, got, SIZE) == SIZE && !memcmp(got, right, SIZE),
			"they are read again");
	ktap_ok(share_within(10, reads_in_namespace, "/b", NAME), "a reader in a namespace of users");
	ktap_ok(!umount("/a") && !umount("/b"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

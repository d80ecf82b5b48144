// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: files that wait for a disk that hangs do not keep the memory of other domains
 * series: 4-share/????-erofs-share-page-cache-between-files-of-equal-conten.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY
 * image: one tree -Enoinline_data --fingerprint
 * image: two tree -Enoinline_data --fingerprint -b1024
 * image: other share base
 * device: blk:one
 * device: blk:two
 * device: blk:other
 * cpus: 2
 * memory: 512M
 * timeout: 200
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define FILES	300		/* a workqueue has 256 at work */
#define NAME	"many/a-rather-long-name-so-that-it-takes-several-blocks-%d"

static int read_file(const char *dir, int n)
{
	char name[100], c;
	int fd;

	snprintf(name, sizeof(name), NAME, n);
	fd = share_open(dir, name);
	return fd < 0 || pread(fd, &c, 1, 0) != 1;
}

int main(void)
{
	static pid_t pids[FILES];
	static char got[3000000];
	int waiting = 0, gone = 0;
	char hung[32], name[100];
	long long cached = 0;
	pid_t pid;

	ktap_begin();
	ktap_ok(dm_create("hung", "/dev/harness/blk0", "delay", "0", hung) && share_mount(hung, "/a", NULL) &&
		share_mount("/dev/harness/blk1", "/b", NULL), "mount two");
	mkdir("/c", 0755);
	ktap_ok(!mount("/dev/harness/blk2", "/c", "erofs", MS_RDONLY, "inode_share,domain_id=e"),
		"and one of another domain");
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), NAME, i);
		close(share_open("/a", name));
		close(share_open("/b", name));
	}
	ktap_ok(dm_hang("hung"), "the first disk hangs");
	for (int i = 0; i < FILES; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(read_file("/b", i));
	}
	for (int tries = 0; tries < 100 && waiting < FILES; tries++) {
		usleep(100000);
		waiting = 0;
		for (int i = 0; i < FILES; i++)
			waiting += dm_waits(pids[i]);
	}
	ktap_eq(waiting, FILES, "readers wait for it");
	for (int i = 0; i < FILES; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < FILES; i++)
		gone += share_end(pids[i], 5) != -1;
	ktap_eq(gone, FILES, "all of them can be killed");
	ktap_ok(share_within(20, share_umount, "/b", ""), "the younger image can be unmounted");
	drop_inodes();
	pid = fork();
	if (!pid)
		_exit(umount("/a"));
	sleep(3);
	ktap_ok(share_read("/c", "f.3000000", got, sizeof(got)) == sizeof(got), "the other domain works");
	cached = share_counter(NULL, "cached_bytes");
	ktap_note("cached: %lld, shared inodes: %ld", cached, shared_inodes());
	ktap_ok(share_within(5, share_umount, "/c", ""), "it can be unmounted");
	sleep(5);
	cached -= share_counter(NULL, "cached_bytes");
	ktap_note("shared inodes: %ld", shared_inodes());
	ktap_ok(ktap_is(cached, >=, 3000000), "and its memory goes with it");
	ktap_ok(dm_go("hung"), "the first disk goes on");
	ktap_eq(share_end(pid, 20), 0, "and its image is unmounted");
	sleep(1);
	ktap_ok(dm_remove("hung"), "the first disk goes");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: files that wait for a disk that hangs do not keep the memory of other domains
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY PAGE_SIZE_4KB
 * image: one tree -Enoinline_data --fingerprint
 * image: two tree -Enoinline_data --fingerprint -b1024
 * image: other share base
 * device: blk:one
 * device: blk:two
 * device: blk:other
 * cpus: 2
 * memory: 512M
 * timeout: 300
 */
#include "dm.h"
#include "ktap.h"
#include "share.h"

#define FILES	550
#define PAIRS	2		/* a workqueue has 1,024 at work, on Linux 6.12 256 */
#define NAME	"many/a-rather-long-name-so-that-it-takes-several-blocks-%d"

/* A disk that can hang, and a younger mount that shares with it, in a domain of their own. */
static bool mount_pair(int n)
{
	char name[16], device[32], dir[16], options[64];
	bool ok = true;

	snprintf(options, sizeof(options), "inode_share,domain_id=d%d", n);
	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%s%d", i ? "other" : "hung", n);
		snprintf(dir, sizeof(dir), "/%c%d", i ? 'b' : 'a', n);
		mkdir(dir, 0755);
		ok = ok && dm_create(name, i ? "/dev/harness/blk1" : "/dev/harness/blk0", "delay", "0", device) &&
			!mount(device, dir, "erofs", MS_RDONLY, options);
	}
	return ok;
}

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
	static pid_t pids[PAIRS * FILES];
	static char got[3000000];
	int ok = 0;
	pid_t umounts[PAIRS];
	long long cached = 0;
	char dir[16], name[100];

	ktap_begin();
	for (int n = 0; n < PAIRS; n++)
		ktap_ok(mount_pair(n), "mount two");
	mkdir("/c", 0755);
	ktap_ok(!mount("/dev/harness/blk2", "/c", "erofs", MS_RDONLY, "inode_share,domain_id=e"),
		"and one of another domain");
	for (int i = 0; i < PAIRS * FILES; i++) {
		snprintf(name, sizeof(name), NAME, i % FILES);
		snprintf(dir, sizeof(dir), "/a%d", i / FILES);
		close(share_open(dir, name));
		snprintf(dir, sizeof(dir), "/b%d", i / FILES);
		close(share_open(dir, name));
	}
	ktap_ok(dm_hang("hung0") && dm_hang("hung1"), "the disk of the older ones hangs");
	for (int i = 0; i < PAIRS * FILES; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(read_file(i / FILES ? "/b1" : "/b0", i % FILES));
	}
	ktap_eq(dm_wait_all(pids, PAIRS * FILES), PAIRS * FILES, "readers wait for it");
	ktap_eq(share_kill_all(pids, PAIRS * FILES), PAIRS * FILES, "all of them can be killed");
	for (int n = 0; n < PAIRS; n++)
		ok += share_within(20, share_umount, n ? "/b1" : "/b0", "");
	ktap_eq(ok, PAIRS, "the younger images can be unmounted");
	drop_inodes();
	for (int n = 0; n < PAIRS; n++) {
		umounts[n] = fork();
		if (!umounts[n])
			_exit(umount(n ? "/a1" : "/a0"));
	}
	sleep(3);
	ktap_ok(share_read("/c", "f.3000000", got, sizeof(got)) == sizeof(got), "the other domain works");
	cached = share_counter(NULL, "cached_bytes");
	ktap_note("cached: %lld, shared inodes: %ld", cached, shared_inodes());
	ktap_ok(share_within(5, share_umount, "/c", ""), "it can be unmounted");
	sleep(5);
	cached -= share_counter(NULL, "cached_bytes");
	ktap_note("shared inodes: %ld", shared_inodes());
	ktap_ok(ktap_is(cached, >=, 3000000), "and its memory goes with it");
	ktap_ok(dm_go("hung0") && dm_go("hung1"), "the disk goes on");
	ok = 0;
	for (int n = 0; n < PAIRS; n++)
		ok += !share_end(umounts[n], 20);
	ktap_eq(ok, PAIRS, "and its images are unmounted");
	sleep(1);
	ktap_ok(dm_remove("hung0") && dm_remove("hung1") && dm_remove("other0") && dm_remove("other1"),
		"all disks go");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a mount that serves a read of another one is waited for, and then another one serves
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY
 * image: base share base
 * image: next share next
 * device: blk:base
 * device: blk:next
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dm.h"
#include "ktap.h"
#include "share.h"

/* The last byte stands with the inode, so that a read waits for metadata, too. */
#define FILE_BYTES 4097
#define DELAY_MS "5000"

static char wanted[FILE_BYTES], got[FILE_BYTES];

/* does a process wait for a disk, now and a tenth of a second later? */
static bool waits(pid_t pid)
{
	if (!dm_waits(pid))
		return false;
	usleep(100000);
	return dm_waits(pid);
}

int main(void)
{
	char slow[32];
	int fd, status;
	double start, unmounted;
	pid_t pid;

	ktap_begin();
	ktap_ok(dm_create("slow", "/dev/harness/blk0", "delay", "0", slow) &&
		share_mount(slow, "/a", NULL) &&
		share_mount("/dev/harness/blk1", "/b", NULL), "mount a disk that will be slow, and another");
	fd = open("/a/f.4097", O_RDONLY);
	ktap_eq(read(fd, wanted, FILE_BYTES), FILE_BYTES, "the older mount provides the file");
	close(fd);
	fd = open("/b/f.4097", O_RDONLY);
	drop_caches("1");
	ktap_ok(dm_reload("slow", "/dev/harness/blk0", "delay", DELAY_MS), "its disk becomes slow");

	pid = fork();
	if (!pid) {
		alarm(100);
		_exit(pread(fd, got, FILE_BYTES, 0) != FILE_BYTES || memcmp(got, wanted, FILE_BYTES));
	}
	for (int i = 0; i < 2000 && !waits(pid); i++)
		usleep(1000);
	ktap_ok(waits(pid), "a read through the younger mount waits for it");
	start = seconds_now();
	status = umount("/a") ? errno : 0;
	unmounted = seconds_now() - start;
	ktap_ok(!status, "it can be unmounted meanwhile (%s)", strerror(status));
	ktap_ok(ktap_is(unmounted, >, 1) &&
		ktap_is(unmounted, <, 100), "which takes as long as the read (%.1f s)", unmounted);
	ktap_ok(ktap_is(waitpid(pid, &status, 0), ==, pid) && !status, "the read has the right content");
	drop_caches("1");
	ktap_ok(ktap_is(pread(fd, got, FILE_BYTES, 0), ==, FILE_BYTES) && !memcmp(got, wanted, FILE_BYTES),
		"the next read comes from the younger mount");
	if (share_counter(NULL, "provider_switches") >= 0)
		ktap_ok(ktap_is(share_counter(NULL, "provider_switches"), >=, 1), "which is counted");
	else
		ktap_skip("which is counted", "the kernel has no counters of sharing");
	close(fd);
	ktap_ok(dm_remove("slow"), "nothing holds the slow disk");
	umount("/b");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

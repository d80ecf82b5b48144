// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a DAX device that is about to be unmounted can be mounted, as a block device can
 * config: EROFS_FS_RAMDAX
 * series: 3-memory
 * image: base share base --dax
 * device: ramdax:base
 * device: pmem:base
 * cpus: 2
 * timeout: 90
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ktap.h"
#include "system.h"

#define SECONDS	10

struct count {
	long mounts, failed;
	int error;
};

/* Mount and unmount, beside somebody who does the same. */
static void come_and_go(const char *node, const char *options, const char *dir, struct count *count)
{
	double end = seconds_now() + SECONDS;

	mkdir(dir, 0755);
	srandom(getpid());
	while (seconds_now() < end) {
		if (mount(node, dir, "erofs", MS_RDONLY, options)) {
			count->error = errno;
			count->failed++;
			usleep(random() % 20000);
			continue;
		}
		count->mounts++;
		if (umount(dir))
			_exit(1);
		usleep(random() % 20000);
	}
	_exit(0);
}

static void try(const char *node, const char *options)
{
	struct count *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int i, status;

	for (i = 0; i < 2; i++)
		if (!fork())
			come_and_go(node, options, i ? "/tmp/b" : "/tmp/a", &count[i]);
	while (wait(&status) > 0)
		ktap_eq(status, 0, "it could be unmounted");
	for (i = 0; i < 2; i++) {
		ktap_note("%s: %ld mounts, %ld failed (%s)", node, count[i].mounts, count[i].failed,
			  strerror(count[i].error));
		ktap_eq(count[i].failed, 0, "none of %ld mounts of %s failed", count[i].mounts, node);
	}
}

int main(void)
{
	bool shares;

	ktap_begin();
	/* sharing makes an unmount longer, but files on DAX of Linux 7.3 do not share */
	shares = !mount("/dev/harness/ramdax0", "/mnt", "erofs", MS_RDONLY, "inode_share,domain_id=d");
	if (shares)
		umount("/mnt");
	try("/dev/harness/pmem0", shares ? "dax=always,inode_share,domain_id=d" : "dax=always");
	try("/dev/harness/ramdax0", shares ? "inode_share,domain_id=d" : NULL);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a read of a shared file on DAX ends if memory cannot be copied (on a kernel that plays so for "stuck")
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base --dax
 * device: ramdax:base
 * cpus: 2
 * timeout: 60
 *
 * For a kernel with, in dax_copy_to_iter(), "if (!strcmp(current->comm, "stuck")) return 0;"
 */
#include <sys/prctl.h>

#include "ktap.h"
#include "share.h"

static int reads(const char *dir, const char *name)
{
	static char page[4096];
	int fd = share_open(dir, name);

	prctl(PR_SET_NAME, "stuck");
	return pread(fd, page, sizeof(page), 0) < 0 ? errno : 100;
}

int main(void)
{
	pid_t pid;
	int status;

	ktap_begin();
	ktap_ok(share_mount("/dev/harness/ramdax0", "/a", "dax=always"), "mount");
	pid = fork();
	if (!pid)
		_exit(reads("/a", "f.3000000"));
	status = share_end(pid, 5);
	ktap_ok(status == EIO << 8 || status == EFAULT << 8, "the read ends with an error (status %#x)", status);
	if (status == -1)
		ktap_ok(share_kill(pid, 5), "it can be killed");
	ktap_ok(!umount("/a"), "unmount");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who looks for data in a file with many extents can be killed
 * config: EROFS_FS_ZIP
 * series: 1-fixes/????-erofs-store-the-place-of-a-fragment-in-one-step.patch
 * image: records crafted records
 * device: blk:records
 * cpus: 2
 * timeout: 120
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "share.h"
#include "system.h"

int main(void)
{
	static char buffer[65536];
	pid_t pid;
	int fd;

	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk0", "/mnt"), "mount the image of 1 MiB");
	/* else who is killed sees it at the next page that is not there yet */
	fd = open("/dev/harness/blk0", O_RDONLY);
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	pid = fork();
	if (!pid) {
		fd = open("/mnt/file", O_RDONLY);
		_exit(lseek(fd, 0, SEEK_DATA) < 0);
	}
	sleep(2);
	ktap_ok(!waitpid(pid, NULL, WNOHANG), "somebody looks for data");
	ktap_ok(share_kill(pid, 30), "he can be killed");
	ktap_note("after %.2f s", share_spent);
	return ktap_end();
}

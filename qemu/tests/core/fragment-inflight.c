// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: nobody waits for a fragment in data that he has not yet begun to read
 * config: EROFS_FS_ZIP
 * image: inflight crafted inflight
 * device: blk:inflight
 * cpus: 2
 * timeout: 60
 *
 * Half of a page of /file is to be decompressed, from the same physical cluster as the
 * packed inode; the other half is a fragment, which is in the packed inode.
 * Without "erofs: refuse fragments that are not at the end of a file" each reader waits
 * for himself, and who looks up the same name in /dir at the same time cannot be killed.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "share.h"
#include "system.h"

#define PAGE	4096
#define READERS	3

int main(void)
{
	pid_t pid[READERS];
	struct stat st;

	ktap_begin();
	ktap_ok(!mount("/dev/harness/blk0", "/mnt", "erofs", MS_RDONLY, NULL), "mount the image");
	for (int i = 0; i < READERS; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			char page[PAGE];
			int fd;

			if (i)
				_exit(!stat("/mnt/dir/name", &st));
			fd = share_open("/mnt", "file");
			posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
			_exit(pread(fd, page, PAGE, 3 * PAGE) > 0);
		}
		usleep(200000);
	}
	ktap_ok(share_end(pid[0], 3) != -1, "a reader ends");
	ktap_ok(share_end(pid[1], 3) != -1, "who looks a name up ends");
	ktap_ok(share_kill(pid[2], 3), "who looks the same name up ends, or can be killed");
	kill(pid[0], SIGKILL);
	kill(pid[1], SIGKILL);
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: what is in one of several files of a file-backed mount is not read from another
 * config: EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP
 * image: box crafted box
 * device: blk:box
 * flavours: fast
 *
 * The blocks of /mapped and of /clusters follow each other by their numbers, in files
 * that change.  Without "erofs: do not read from one file what is in another" blocks of
 * the wrong file are read.  Not on the debug kernel: lockdep takes the page cache of
 * an image and that of a file in it for one.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"

#define SIZE	(8 * 4096)

static bool get(const char *path, char *data)
{
	int fd = open(path, O_RDONLY);
	bool ok = read(fd, data, SIZE) == SIZE;

	close(fd);
	return ok;
}

int main(void)
{
	static const char *const names[] = { "chunks", "mapped", "clusters" };
	static char got[SIZE], want[SIZE];
	char path[32];

	ktap_begin();
	mkdir("/box", 0755);
	ktap_ok(!mount("/dev/harness/blk0", "/box", "erofs", MS_RDONLY, NULL), "mount the image that holds three files");
	ktap_ok(!mount("/box/image", "/mnt", "erofs", MS_RDONLY, "device=/box/one,device=/box/two"), "mount these");
	for (int i = 0; i < 3; i++) {
		bool ok;

		snprintf(path, sizeof(path), "/mnt/%s", names[i]);
		ok = get(path, got);
		snprintf(path, sizeof(path), "/mnt/%s.want", names[i]);
		ktap_ok(ok && get(path, want) && !memcmp(got, want, SIZE), "/%s has the blocks that it should have", names[i]);
	}
	ktap_ok(!umount("/mnt") && !umount("/box"), "unmount both");
	return ktap_end();
}

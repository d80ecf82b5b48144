// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file of an image in a file is no further device of another one, or reads would use up the stack
 * config: EROFS_FS EROFS_FS_BACKED_BY_FILE
 * image: stacked stacked
 * device: blk:stacked
 * device: blk:stacked.blob
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"
#include "system.h"

#define LEVELS	40

static bool mount_on(int level)
{
	char dir[16], options[64];

	snprintf(dir, sizeof(dir), "/m%d", level);
	mkdir(dir, 0755);
	if (level)
		snprintf(options, sizeof(options), "device=/m%d/a", level - 1);
	else
		snprintf(options, sizeof(options), "device=/r/blob");
	return !mount("/r/image", dir, "erofs", MS_RDONLY, options);
}

int main(void)
{
	char path[32], block[4096];
	int levels = 0, fd;

	ktap_begin();
	mkdir("/r", 0755);
	mount("ram", "/r", "ramfs", 0, NULL);
	system("cat /dev/harness/blk0 > /r/image; cat /dev/harness/blk1 > /r/blob");
	while (levels < LEVELS && mount_on(levels))
		levels++;
	ktap_ok(ktap_is(levels, ==, 1), "one level, and no other on top of it");
	snprintf(path, sizeof(path), "/m%d/a", levels - 1);
	fd = open(path, O_RDONLY);
	ktap_ok(pread(fd, block, sizeof(block), 0) == sizeof(block) && !memcmp(block, "0123456789abcdef", 16),
		"what is on top can be read");
	close(fd);
	while (levels--) {
		snprintf(path, sizeof(path), "/m%d", levels);
		umount(path);
	}
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

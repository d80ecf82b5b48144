/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words of the tests of page cache sharing. */
#ifndef SHARE_H
#define SHARE_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "system.h"

#define SHARE_OPTIONS	"inode_share,domain_id=d"

/** share_mount - mount the image @source on @dir, which is made, with sharing in domain d */
static inline bool share_mount(const char *source, const char *dir)
{
	mkdir(dir, 0755);
	return !mount(source, dir, "erofs", MS_RDONLY, SHARE_OPTIONS);
}

/** share_counter - a counter of all that is shared, or -1 */
static inline long share_counter(const char *name)
{
	return number_in("/sys/fs/erofs/inode_share/%s", name);
}

/** shared_inodes - shared inodes in use, and none that only wait in some CPU's list */
static inline long shared_inodes(void)
{
	const char *cache = "erofs_shared_inode";
	char line[256], name[64];
	long active = 0, n;
	FILE *file;

	usleep(200000);
	if (!write_to("/sys/kernel/slab/erofs_shared_inode/shrink", "1"))
		return -1;
	file = fopen("/proc/slabinfo", "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %ld", name, &n) == 2 && !strcmp(name, cache))
			active = n;
	if (file)
		fclose(file);
	return active;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory cgroups for tests in C. */
#ifndef CGROUP_H
#define CGROUP_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "system.h"

#define CGROUPS	"/sys/fs/cgroup"

/** cgroup_make - make a group, CGROUPS "/NAME", whose memory is counted; true if it is new */
static inline bool cgroup_make(const char *name)
{
	char path[128];

	mkdir(CGROUPS, 0755);
	mount("cgroup2", CGROUPS, "cgroup2", 0, NULL);	/* it may be there */
	snprintf(path, sizeof(path), CGROUPS "/%s", name);
	return write_to(CGROUPS "/cgroup.subtree_control", "+memory") && !mkdir(path, 0755);
}

/** cgroup_charged - bytes of page cache that a group is charged for, or -1 */
static inline long cgroup_charged(const char *name)
{
	char path[128], key[64];
	long value, bytes = -1;
	FILE *file;

	snprintf(path, sizeof(path), CGROUPS "/%s/memory.stat", name);
	file = fopen(path, "r");
	while (file && fscanf(file, "%63s %ld", key, &value) == 2)
		if (!strcmp(key, "file"))
			bytes = value;
	if (file)
		fclose(file);
	return bytes;
}

#endif

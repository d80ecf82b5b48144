// SPDX-License-Identifier: GPL-2.0-or-later
/* init: what is mounted before the command, and unmounted after it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

static const char *const initial_mounts[][3] = {
	/* where, type, options */
	{ "/proc", "proc", NULL },
	{ "/sys", "sysfs", NULL },
	{ "/dev", "devtmpfs", NULL },
	{ "/dev/pts", "devpts", NULL },
	{ "/dev/shm", "tmpfs", NULL },
	{ "/tmp", "tmpfs", NULL },
	{ "/run", "tmpfs", NULL },
	{ "/sys/kernel/debug", "debugfs", NULL },
	{ "/sys/fs/cgroup", "cgroup2", NULL },
};
#define NR_INITIAL	(sizeof(initial_mounts) / sizeof(initial_mounts[0]))

void mount_initial(void)
{
	for (size_t i = 0; i < NR_INITIAL; i++) {
		const char *where = initial_mounts[i][0];

		/* What the kernel was not built with is missing, no more. */
		if (mkdir(where, 0755) && errno != EEXIST)
			continue;
		mount(initial_mounts[i][1], where, initial_mounts[i][1], 0, NULL);
	}
	if (symlink("/proc/self/fd", "/dev/fd") && errno != EEXIST)
		perror("init: /dev/fd");
}

void unmount_rest(void)
{
	char *text = slurp("/proc/self/mounts", NULL), *line, *save;
	char *where[256];
	size_t n = 0;

	if (!text)
		return;
	for (line = strtok_r(text, "\n", &save); line && n < 256;
	     line = strtok_r(NULL, "\n", &save)) {
		char *p = strchr(line, ' '), *out;
		bool initial = false;

		if (!p)
			continue;
		where[n] = out = ++p;
		while (*p && *p != ' ') {
			unsigned int c;

			/* octal escapes of blanks, as fstab(5) has them */
			if (*p == '\\' && sscanf(p + 1, "%3o", &c) == 1) {
				*out++ = c;
				p += 4;
			} else {
				*out++ = *p++;
			}
		}
		*out = '\0';
		for (size_t i = 0; i < NR_INITIAL; i++)
			initial |= !strcmp(where[n], initial_mounts[i][0]);
		if (!initial && strcmp(where[n], "/"))
			n++;
	}
	while (n--)
		if (umount2(where[n], 0))
			umount2(where[n], MNT_DETACH);
	free(text);
}

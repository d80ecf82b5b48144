// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who reads a shared file of an image in a file is charged for what he reads, not for that file
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE MEMCG
 * image: box share box
 * device: blk:box
 *
 * The file is on EROFS, so that he could wait for it himself.  But then others, who need what he
 * reads, get no more of it than the limit of his cgroup lets him have.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"
#include "share.h"
#include "system.h"

#define NAME	"f.3000000"
#define SIZE	3000000
#define GROUP	"/sys/fs/cgroup/reader"

static char text[SIZE];

static int read_in_group(const char *dir, const char *name)
{
	return !write_to(GROUP "/cgroup.procs", "0") || share_read(dir, name, text, SIZE) != SIZE;
}

/* Bytes of page cache that the cgroup is charged for */
static long charged(void)
{
	FILE *file = fopen(GROUP "/memory.stat", "r");
	long bytes = -1, value;
	char key[64];

	while (file && fscanf(file, "%63s %ld", key, &value) == 2)
		if (!strcmp(key, "file"))
			bytes = value;
	if (file)
		fclose(file);
	return bytes;
}

int main(void)
{
	ktap_begin();
	mkdir("/sys/fs/cgroup", 0755);
	mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	write_to("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	ktap_ok(!mkdir(GROUP, 0755), "a cgroup");
	ktap_ok(share_plain("/dev/harness/blk0", "/box") && share_mount("/box/image", "/a", NULL), "mount an image in a file of EROFS");
	ktap_ok(share_within(60, read_in_group, "/a", NAME), "read a file of it");
	sleep(3);	/* statistics are collected every two seconds */
	ktap_ok(ktap_is(charged(), >=, SIZE / 2), "its reader is charged for it");
	ktap_ok(ktap_is(charged(), <=, SIZE + SIZE / 4), "but not for the file that the image is in");
	ktap_ok(!umount("/a") && !umount("/box"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

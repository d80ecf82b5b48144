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
#include <sys/mount.h>
#include <unistd.h>

#include "cgroup.h"
#include "ktap.h"
#include "share.h"
#include "system.h"

#define NAME	"f.3000000"
#define SIZE	3000000

static char text[SIZE];

static int read_in_group(const char *dir, const char *name)
{
	return !write_to(CGROUPS "/reader/cgroup.procs", "0") || share_read(dir, name, text, SIZE) != SIZE;
}

int main(void)
{
	ktap_begin();
	ktap_ok(cgroup_make("reader"), "a cgroup");
	ktap_ok(share_plain("/dev/harness/blk0", "/box") && share_mount("/box/image", "/a", NULL), "mount an image in a file of EROFS");
	ktap_ok(share_within(60, read_in_group, "/a", NAME), "read a file of it");
	sleep(3);	/* statistics are collected every two seconds */
	ktap_ok(ktap_is(cgroup_charged("reader"), >=, SIZE / 2), "its reader is charged for it");
	ktap_ok(ktap_is(cgroup_charged("reader"), <=, SIZE + SIZE / 4), "but not for the file that the image is in");
	ktap_ok(!umount("/a") && !umount("/box"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

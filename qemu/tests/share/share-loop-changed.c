// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a loop device that gets another backing file of the same bytes (LOOP_CHANGE_FD) leaves its mount alive
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE BLK_DEV_LOOP
 * image: base share base
 * device: blk:base
 * device: blk:base
 */
#include "ktap.h"
#include "loop.h"
#include "share.h"

#define NAME	"f.65536"

static char buffer[65536];

static void on(const char *what, const char *dir, bool (*mounts)(const char *, const char *))
{
	int other = open("/dev/harness/blk1", O_RDONLY), loop, fd;
	char device[32];

	loop = loop_attach("/dev/harness/blk0", device);
	ktap_ok(loop >= 0 && mounts(device, dir), "%s: mount", what);
	fd = share_open(dir, NAME);
	ktap_ok(pread(fd, buffer, sizeof(buffer), 0) == sizeof(buffer), "%s: read", what);
	ktap_ok(!ioctl(loop, LOOP_CHANGE_FD, other), "%s: change the file below", what);
	usleep(300000);
	ktap_eq(pread(fd, buffer, sizeof(buffer), 0), sizeof(buffer), "%s: read", what);
	close(fd);
	ktap_eq(share_read(dir, NAME, buffer, sizeof(buffer)), sizeof(buffer), "%s: open it again", what);
	close(other);
	close(loop);
	ktap_ok(!umount(dir), "%s: unmount", what);
}

static bool shares(const char *device, const char *dir)
{
	return share_mount(device, dir, NULL);
}

int main(void)
{
	ktap_begin();
	on("plain", "/a", share_plain);
	on("shared", "/b", shares);
	return ktap_end();
}

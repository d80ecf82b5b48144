// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: reading ahead in an image that is a file of another image holds two locks that a debug kernel can tell apart
 * series: 1-fixes
 * config: EROFS_FS_BACKED_BY_FILE
 * flavours: debug
 * image: box share box --chunksize=4096
 * device: blk:box
 */
#include "ktap.h"
#include "share.h"

#define NAME	"f.3000000"

int main(void)
{
	char buf[65536];
	int fd;

	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk0", "/box") && share_plain("/box/image", "/a"), "mount an image in a file");
	fd = share_open("/a", NAME);
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
	ktap_ok(!umount("/a") && !umount("/box"), "read a file of it, and unmount both");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: what statx says of direct I/O is true, on file-backed mounts and where page cache is shared, too
 * config: EROFS_FS_BACKED_BY_FILE
 * image: base share base
 * image: box share box
 * device: blk:base
 * device: blk:box
 */
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"

/* is what statx says of direct I/O on a file of /m what open finds? */
static bool direct_as_said(const char *name, bool *can)
{
	struct statx st = { 0 };
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/m/%s", name);
	if (statx(AT_FDCWD, path, 0, STATX_DIOALIGN, &st) || !(st.stx_mask & STATX_DIOALIGN))
		return false;
	fd = open(path, O_RDONLY | O_DIRECT);
	*can = fd >= 0;
	if (fd >= 0)
		close(fd);
	return *can == (st.stx_dio_offset_align != 0);
}

int main(void)
{
	bool can = true;

	ktap_begin();
	mkdir("/m", 0755);
	mkdir("/box", 0755);
	ktap_ok(!mount("/dev/harness/blk1", "/box", "erofs", MS_RDONLY, NULL),
		"mount the image that holds an image");
	ktap_ok(!mount("/box/image", "/m", "erofs", MS_RDONLY, NULL), "mount that from its file");
	/* no content: lockdep takes the page cache of both EROFS for one */
	ktap_ok(direct_as_said("f.65536", &can) && !can, "no direct I/O, and statx says so");
	umount("/m");
	ktap_ok(!mount("/dev/harness/blk0", "/m", "erofs", MS_RDONLY, NULL), "mount it from a disk");
	ktap_ok(direct_as_said("f.65536", &can) && can, "direct I/O, and statx says so");
	umount("/m");
	if (!mount("/dev/harness/blk0", "/m", "erofs", MS_RDONLY, "inode_share,domain_id=d")) {
		ktap_ok(direct_as_said("f.65536", &can), "where page cache is shared, statx says what there is");
		umount("/m");
	} else {
		ktap_skip("where page cache is shared, statx says what there is", "the kernel does not share");
	}
	return ktap_end();
}

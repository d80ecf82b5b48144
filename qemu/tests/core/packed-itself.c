// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a packed inode that is made of fragments of itself cannot be read, and that is all
 * config: EROFS_FS_ZIP
 * image: packed crafted packed
 * device: blk:packed
 * cpus: 2
 * timeout: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ktap.h"
#include "share.h"
#include "system.h"

int main(void)
{
	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk0", "/mnt"), "mount the image");
	ktap_ok(share_within(10, share_unreadable, "/mnt", "file"), "a file whose fragment is there cannot be read");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

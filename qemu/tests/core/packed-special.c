// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: an image whose packed inode is a device cannot be read, and that is all
 * config: EROFS_FS_ZIP
 * image: special crafted special
 * device: blk:special
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
	if (!share_plain("/dev/harness/blk0", "/mnt")) {
		ktap_ok(errno == EUCLEAN, "it cannot be mounted");
		return ktap_end();
	}
	ktap_ok(share_within(10, share_unreadable, "/mnt", "file"), "a file whose fragment is there cannot be read");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

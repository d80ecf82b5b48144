// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: as share-killed-joined, in an image in a file that shares nothing
 * config: EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP DM_DELAY
 * image: lz4 share box -zlz4 -C65536
 * image: frag share box -zlz4 -C65536 -Eall-fragments
 * device: blk:lz4
 * device: blk:frag
 * cpus: 2
 * timeout: 60
 */
#include "killed.h"

int main(void)
{
	ktap_begin();
	killed_joined("/dev/harness/blk0", NULL, "/a", "a cluster of a file");
	killed_joined("/dev/harness/blk1", NULL, "/a", "a fragment");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who is killed while he reads takes nobody with him who waits for the same physical cluster
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP DM_DELAY
 * image: lz4 share box -zlz4 -C65536
 * image: frag share box -zlz4 -C65536 -Eall-fragments
 * image: chunk share base --chunksize=4096
 * device: blk:lz4
 * device: blk:frag
 * device: blk:chunk
 * cpus: 2
 * timeout: 60
 */
#include "killed.h"

int main(void)
{
	const char *younger = "/dev/harness/blk2";

	ktap_begin();
	killed_joined("/dev/harness/blk0", younger, "/b", "a cluster of a file");
	killed_joined("/dev/harness/blk1", younger, "/b", "a fragment");
	killed_joined("/dev/harness/blk0", younger, "/a", "in the image itself");
	return ktap_end();
}

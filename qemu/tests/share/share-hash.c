// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: files whose fingerprints are made to collide cost what others cost
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: forge share-forge xxh32
 * device: blk:forge
 * memory: 512M
 * flavours: fast
 * timeout: 200
 * clock: instructions
 *
 * Without "erofs: hash fingerprints with a key that nobody knows" on Linux 7.3, each of
 * the files is looked for among all those that have its hash.
 */
#include "ktap.h"
#include "share.h"

#define FILES 8000
#define TIMES 2	/* how much dearer it may be */

/* microseconds for each file of a folder that is looked up and opened */
static double opens(const char *folder)
{
	double start = seconds_now();

	for (int i = 0; i < FILES; i++) {
		char name[64];
		int fd;

		snprintf(name, sizeof(name), "%s/%d", folder, i);
		fd = share_open("/a", name);
		if (fd < 0)
			ktap_note("%s: %s", name, strerror(errno));
		close(fd);
	}
	return (seconds_now() - start) * 1e6 / FILES;
}

int main(void)
{
	double plain, chosen;

	ktap_begin();
	if (!ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL), "mount it"))
		return ktap_end();
	/* what is on the disk is read here; it is the inodes that count */
	opens("plain");
	opens("xxh32");
	drop_caches("2");
	plain = opens("plain");
	drop_caches("2");
	chosen = opens("xxh32");
	ktap_note("%.1f us for each file, %.1f us for each that collides", plain, chosen);
	ktap_ok(ktap_is(chosen, <, TIMES * plain), "files that collide are opened as fast as others");
	umount("/a");
	return ktap_end();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What three mounts of one file save when a disk goes, for tests in C. */
#ifndef SAVED_H
#define SAVED_H

#include "ktap.h"
#include "share.h"

#define NAME	"f.65536"
#define SIZE	65536

/**
 * saved_without - mount three disks, read a file on each, and see what counters say when one goes
 * @gone: which one, 0 the oldest to 2
 *
 * Return: the test's exit status.
 */
static inline int saved_without(int gone)
{
	static const char *const disks[] = { "/dev/harness/blk0", "/dev/harness/blk1", "/dev/harness/blk2" };
	static const char *const dirs[] = { "/a", "/b", "/c" };
	static char buffer[SIZE];
	char paths[3][PATH_MAX];
	long long others = 0;
	int fds[3];

	ktap_begin();
	for (int i = 0; i < 3; i++) {
		ktap_ok(share_mount(disks[i], dirs[i], NULL), "mount %s", dirs[i]);
		fds[i] = share_open(dirs[i], NAME);
		ktap_ok(pread(fds[i], buffer, SIZE, 0) == SIZE, "read it there");
		/* the node goes with the disk */
		share_counter_path(disks[i], "saved_bytes", paths[i]);
	}
	ktap_eq(share_counter(NULL, "saved_bytes"), 2 * SIZE, "two copies are saved");
	ktap_ok(share_unplug(disks[gone]), "disk %d goes", gone);
	usleep(300000);
	ktap_ok(pread(fds[gone], buffer, SIZE, 0) < 0, "its file is dead");
	ktap_eq(share_counter(NULL, "saved_bytes"), SIZE, "one is left");
	ktap_fails(open(paths[gone], O_RDONLY), ENOENT, "the dead mount has no counters any more");
	for (int i = 0; i < 3; i++)
		if (i != gone)
			others += share_number(paths[i], 0);
	ktap_eq(others, SIZE, "but of the others");
	for (int i = 0; i < 3; i++) {
		close(fds[i]);
		ktap_ok(!umount(dirs[i]), "unmount %s", dirs[i]);
	}
	return ktap_end();
}

#endif

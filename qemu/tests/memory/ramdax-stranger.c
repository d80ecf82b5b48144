// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a reader whose buffer is on a disk that hangs does not keep other DAX devices from going away
 * config: BLK_DEV_DM
 * image: tree tree
 * device: pmem:tree
 * device: ramdax:tree
 * device: blk:tree
 * cpus: 2
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dm.h"
#include "ktap.h"
#include "system.h"

#define PAGE	4096

/*
 * While a child reads @path (a file, or a folder with @dir) into memory that has to come
 * from the disk that hangs, a DAX device that it has nothing to do with goes and comes.
 */
static void try_reader(const char *what, const char *path, bool dir, const char *disk, off_t at, const char *name)
{
	double start;
	pid_t pid;

	dm_hang("slow");
	pid = fork();
	if (!pid) {
		int from = open(path, O_RDONLY), fd = open(disk, O_RDONLY);
		char *buffer = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, at);
		long n = dir ? syscall(SYS_getdents64, from, buffer, PAGE) : read(from, buffer, PAGE);

		_exit(n > 0 ? 0 : 1);
	}
	for (int i = 0; i < 100 && !dm_waits(pid); i++)
		usleep(50000);
	ktap_ok(dm_waits(pid), "%s: the reader waits for the disk", what);
	start = seconds_now();
	ktap_ok(write_to("/sys/bus/dax/drivers/fsdev_dax/unbind", name) && seconds_now() - start < 2,
		"%s: another device goes, in less than 2 s", what);
	ktap_ok(write_to("/sys/bus/dax/drivers/fsdev_dax/bind", name), "%s: and comes back", what);
	dm_go("slow");
	int status;
	waitpid(pid, &status, 0);
	ktap_ok(!status, "%s: the reader gets its bytes", what);
}

int main(void)
{
	char device[32];
	glob_t nodes;
	const char *name;

	ktap_begin();
	if (!ktap_ok(!glob("/dev/dax*.0", 0, NULL, &nodes), "the carve-out is a DAX device") ||
	    !ktap_ok(dm_create("slow", "/dev/harness/blk0", "linear", "", device), "device-mapper over a disk") ||
	    !ktap_ok(!mount("/dev/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount"))
		return ktap_end();
	name = nodes.gl_pathv[0] + 5;
	/* each at a place of the disk that nobody has read yet */
	try_reader("a file with an inline tail", "/mnt/data.4097", false, device, 1 << 20, name);
	try_reader("a folder", "/mnt/many", true, device, 1 << 20 | 512 << 10, name);
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

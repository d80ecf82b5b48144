// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a mount whose further device is looked up on a disk that hangs does not keep other DAX devices from going away
 * series: 3-memory
 * config: EROFS_FS_RAMDAX BLK_DEV_DM
 * image: blob share blob
 * image: tree tree
 * device: pmem:blob
 * device: ramdax:tree
 * device: blk:tree
 * cpus: 2
 * timeout: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dm.h"
#include "ktap.h"
#include "system.h"

static bool gone(pid_t pid, int *status)
{
	double start = seconds_now();

	while (seconds_now() - start < 5) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		usleep(10000);
	}
	return false;
}

int main(void)
{
	char device[32];
	glob_t nodes;
	const char *name;
	pid_t pid, other;
	int status;

	ktap_begin();
	mkdir("/slow", 0755);
	if (!ktap_ok(!glob("/dev/dax*.0", 0, NULL, &nodes), "the carve-out is a DAX device") ||
	    !ktap_ok(dm_create("slow", "/dev/harness/blk0", "linear", "", device), "device-mapper over a disk") ||
	    !ktap_ok(!mount(device, "/slow", "erofs", MS_RDONLY, NULL), "mount the disk"))
		return ktap_end();
	name = nodes.gl_pathv[0] + 5;
	dm_hang("slow");
	pid = fork();
	if (!pid)
		_exit(mount("/dev/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always,device=/slow/many/blob") ? 1 : 0);
	for (int i = 0; i < 100 && !dm_waits(pid); i++)
		usleep(50000);
	ktap_ok(dm_waits(pid), "a mount waits for the disk that the path of its further device is on");
	other = fork();
	if (!other)
		_exit(!write_to("/sys/bus/dax/drivers/fsdev_dax/unbind", name));
	ktap_ok(gone(other, &status) && !status, "another DAX device goes, in less than 5 s");
	dm_go("slow");
	ktap_ok(gone(pid, &status), "the mount ends");
	waitpid(other, &status, 0);
	ktap_ok(write_to("/sys/bus/dax/drivers/fsdev_dax/bind", name), "and the other device comes back");
	ktap_ok(!umount("/slow"), "unmount");
	return ktap_end();
}

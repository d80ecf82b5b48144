// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: what others map and read by DAX is told to the administrator alone
 * config: EROFS_FS_RAMDAX FS_DAX
 * image: tree tree
 * device: pmem:tree
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "system.h"

int main(void)
{
	static const char *const names[] = { "device_bytes", "mapped_bytes", "faults_pte", "faults_pmd", "read_bytes" };
	int status;

	ktap_begin();
	mkdir("/m", 0755);
	ktap_ok(!mount("/dev/harness/pmem0", "/m", "erofs", MS_RDONLY, "dax=always"), "mount");
	for (int i = 0; i < 5; i++)
		ktap_ok(number_in("/sys/fs/erofs/pmem0/dax/%s", names[i]) >= 0, "root reads %s", names[i]);
	if (!fork()) {
		int readable = 0;

		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(100);
		for (int i = 0; i < 5; i++)
			readable += number_in("/sys/fs/erofs/pmem0/dax/%s", names[i]) >= 0;
		_exit(readable);
	}
	wait(&status);
	ktap_ok(ktap_is(WEXITSTATUS(status), ==, 0), "a user reads none of them");
	ktap_ok(!umount("/m"), "unmount");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a remount turns ACLs on and off, and not only in /proc/mounts
 * config: EROFS_FS_POSIX_ACL
 * image: acls acls
 * device: blk:acls
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"

/* What open(2) says to the user whom the file's ACL forbids to read it: 0 or errno */
static int open_as_user(void)
{
	int status = 0;
	pid_t child = fork();

	if (!child) {
		if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
			_exit(255);
		_exit(open("/mnt/f", O_RDONLY) < 0 ? errno : 0);
	}
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

static void try(const char *first, int error, const char *then, int then_error)
{
	ktap_ok(!mount("/dev/harness/blk0", "/mnt", "erofs", MS_RDONLY, first), "mount with %s", first);
	ktap_eq(open_as_user(), error, "and open");
	ktap_ok(!mount(NULL, "/mnt", NULL, MS_REMOUNT | MS_RDONLY, then), "remount with %s", then);
	ktap_eq(open_as_user(), then_error, "and open");
	ktap_ok(!umount("/mnt"), "unmount");
}

int main(void)
{
	ktap_begin();
	chmod("/", 0755);
	try("acl", EACCES, "noacl", 0);
	try("noacl", 0, "acl", EACCES);
	try("acl", EACCES, "nouser_xattr", EACCES);
	return ktap_end();
}

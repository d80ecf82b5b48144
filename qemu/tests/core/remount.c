// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a remount changes the options that it names and no others, and turns on nothing that cannot be had
 * config: EROFS_FS FS_DAX EROFS_FS_ZIP EROFS_FS_XATTR EROFS_FS_POSIX_ACL
 * image: base share base -Enoinline_data
 * image: small share base -b1024
 * image: packed share base -zlz4
 * device: pmem:base
 * device: blk:base
 * device: blk:small
 * device: blk:packed
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ktap.h"
#include "share.h"
#include "system.h"

/* is @option among those of the mount on /mnt? */
static bool has(const char *option)
{
	char line[1024], *options;
	bool found = false;
	FILE *file = fopen("/proc/mounts", "r");

	while (file && fgets(line, sizeof(line), file)) {
		options = strstr(line, " /mnt erofs ");
		if (options)
			found = strstr(options, option);
	}
	if (file)
		fclose(file);
	return found;
}

static bool remount(const char *options)
{
	return !mount("", "/mnt", "", MS_REMOUNT | MS_RDONLY, options);
}

static void test_kept(void)
{
	if (!ktap_ok(!mount("/dev/harness/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount with DAX"))
		return;
	ktap_ok(remount("nouser_xattr"), "a remount that names one option");
	ktap_ok(has(",nouser_xattr"), "that one is changed");
	ktap_ok(has(",dax=always"), "DAX, which it does not name, is kept");
	ktap_ok(is_dax("/mnt/f.65536"), "a file that is looked up after it uses DAX");
	ktap_ok(remount("user_xattr") && has(",user_xattr"), "what it names is changed back");
	ktap_ok(sums_ok("/mnt"), "content");
	umount("/mnt");
}

/* options that are not the defaults */
static void test_not_defaults(void)
{
	static const char *const options[] = {
		",nouser_xattr", ",noacl", ",dax=never", ",cache_strategy=disabled",
	};

	if (!ktap_ok(!mount("/dev/harness/blk2", "/mnt", "erofs", MS_RDONLY,
			    "nouser_xattr,noacl,dax=never,cache_strategy=disabled"), "mount with other options than by default"))
		return;
	ktap_ok(remount(NULL), "a remount that names none");
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		ktap_ok(has(options[i]), "keeps %s", options[i] + 1);
	ktap_ok(remount("cache_strategy=readahead") && has(",cache_strategy=readahead") && has(",noacl"),
		"a remount that names one changes that one");
	umount("/mnt");
}

/* change an option by a context */
static bool reconfigure(int fd, const char *option)
{
	return !syscall(SYS_fsconfig, fd, FSCONFIG_SET_FLAG, option, NULL, 0) &&
		!syscall(SYS_fsconfig, fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
}

/* a context of fspick(2), and somebody else's remount between its making and its use */
static void test_late(void)
{
	int fd;

	if (!ktap_ok(!mount("/dev/harness/blk2", "/mnt", "erofs", MS_RDONLY, "acl,cache_strategy=readaround"), "mount"))
		return;
	fd = syscall(SYS_fspick, AT_FDCWD, "/mnt", 0);
	if (!ktap_ok(fd >= 0, "pick the mount"))
		goto out;
	ktap_ok(remount("noacl,cache_strategy=disabled"), "somebody else changes two options");
	ktap_ok(reconfigure(fd, "nouser_xattr"), "then change a third");
	ktap_ok(has(",nouser_xattr"), "which is changed");
	ktap_ok(has(",noacl") && has(",cache_strategy=disabled"), "and the others are as they were changed");
	close(fd);
out:
	umount("/mnt");
}

/* a context that changes one thing after the other, and one that has made the mount */
static void test_again(void)
{
	int fd, mnt;

	if (!ktap_ok(!mount("/dev/harness/blk0", "/mnt", "erofs", MS_RDONLY, NULL), "mount"))
		return;
	fd = syscall(SYS_fspick, AT_FDCWD, "/mnt", 0);
	ktap_ok(reconfigure(fd, "noacl") && has(",noacl"), "a context changes an option");
	ktap_ok(reconfigure(fd, "acl") && has(",acl"), "and changes it back");
	close(fd);
	umount("/mnt");

	fd = syscall(SYS_fsopen, "erofs", 0);
	syscall(SYS_fsconfig, fd, FSCONFIG_SET_STRING, "source", "/dev/harness/blk0", 0);
	syscall(SYS_fsconfig, fd, FSCONFIG_SET_FLAG, "ro", NULL, 0);
	syscall(SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	mnt = syscall(SYS_fsmount, fd, 0, 0);
	if (ktap_ok(mnt >= 0 && !syscall(SYS_move_mount, mnt, "", AT_FDCWD, "/mnt", MOVE_MOUNT_F_EMPTY_PATH), "mount with ro")) {
		ktap_ok(reconfigure(fd, "noacl") && has(",noacl"), "the context of it does not ask for rw later");
		close(mnt);
		umount("/mnt");
	}
	close(fd);
}

/* as a user does who does not think of ro: the disk itself is read-only */
static void test_without_ro(void)
{
	mkdir("/again", 0755);
	if (!ktap_ok(!mount("/dev/harness/blk0", "/mnt", "erofs", 0, NULL), "mount without ro"))
		return;
	ktap_ok(!mount("/dev/harness/blk0", "/again", "erofs", 0, NULL) && !umount("/again"), "and a second time");
	ktap_ok(!mount("/dev/harness/blk0", "/again", "erofs", MS_RDONLY, NULL) && !umount("/again"), "and with it");
	umount("/mnt");
}

/* @device has no DAX, or has blocks with which there is none */
static void test_dax(const char *device)
{
	if (!ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, NULL), "mount %s", device))
		return;
	ktap_ok(!remount("dax=always") && errno == EINVAL, "%s: a remount does not turn on DAX", device);
	ktap_ok(sums_ok("/mnt"), "%s: content", device);
	umount("/mnt");
}

static void test_share(void)
{
	if (!share_mount("/dev/harness/blk0", "/mnt", NULL) || !has(",inode_share")) {
		ktap_skip("inode_share is not turned on", "the kernel does not share");
		umount("/mnt");
		return;
	}
	ktap_ok(remount("noacl") && has(",inode_share"), "a remount that does not name inode_share keeps it");
	umount("/mnt");
	if (!ktap_ok(!mount("/dev/harness/blk0", "/mnt", "erofs", MS_RDONLY, NULL), "mount without sharing"))
		return;
	ktap_ok(!remount("inode_share") && errno == EINVAL, "a remount does not turn it on");
	ktap_ok(!remount("inode_share,domain_id=d") && errno == EINVAL, "nor with a domain");
	ktap_ok(sums_ok("/mnt"), "content without sharing");
	umount("/mnt");
}

int main(void)
{
	ktap_begin();
	test_kept();
	test_not_defaults();
	test_late();
	test_again();
	test_without_ro();
	test_dax("/dev/harness/blk0");
	test_dax("/dev/harness/blk1");
	test_share();
	return ktap_end();
}

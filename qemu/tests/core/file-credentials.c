// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: an image in a file is read as the user who mounted it, whoever reads a file of it: data and metadata
 * series: 1-fixes
 * config: EROFS_FS_BACKED_BY_FILE FUSE_FS USER_NS
 * image: packed share base -zlz4hc -C65536
 * device: blk:packed
 * timeout: 120
 */
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "fuse.h"
#include "ktap.h"
#include "share.h"
#include "system.h"

#define USER	1000

static void tell(int fd)
{
	ktap_ok(write(fd, "x", 1) == 1, "go on");
}

static bool hear(int fd)
{
	char c;

	return read(fd, &c, 1) == 1;
}

/* A server in a user namespace where root is USER; FUSE refuses all others there: EOVERFLOW. */
static pid_t serve(int disk)
{
	int ready[2], go[2], dev;
	char path[64];
	pid_t pid;

	ktap_ok(!pipe(ready) && !pipe(go), "pipes");
	pid = fork();
	if (!pid) {
		close(ready[0]);
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || write(ready[1], "x", 1) != 1 || !hear(go[0]) ||
		    setresgid(0, 0, 0) || setresuid(0, 0, 0) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
			_exit(1);
		dev = fuse_mount("/box");
		if (dev < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		fuse_serve(dev, lseek(disk, 0, SEEK_END), fuse_answer_read, disk);
	}
	close(ready[1]);
	ktap_ok(hear(ready[0]), "a user namespace");
	snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
	write_to(path, "deny");
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	ktap_ok(write_to(path, "0 1000 1"), "its groups");
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	ktap_ok(write_to(path, "0 1000 1"), "its users");
	tell(go[1]);
	ktap_ok(hear(ready[0]), "a FUSE server in it");
	return pid;
}

/* USER, who may mount */
static bool become_user(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setresgid(USER, USER, USER) ||
	    setresuid(USER, USER, USER) || syscall(SYS_capget, &head, data))
		return false;
	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted;
	return !syscall(SYS_capset, &head, data);
}

static int read_start(const char *dir, const char *name)
{
	return share_read_at(dir, name, 0);
}

static int read_far(const char *dir, const char *name)
{
	return share_read_at(dir, name, 2000000);
}

static void try(pid_t server, bool sharing)
{
	char source[64];
	int status;
	pid_t pid;

	snprintf(source, sizeof(source), "/proc/%d/root/box/image", server);
	pid = fork();
	if (!pid)
		_exit(!become_user() || !(sharing ? share_mount(source, "/a", NULL) : share_plain(source, "/a")));
	waitpid(pid, &status, 0);
	ktap_eq(status, 0, "%s: the user mounts it", sharing ? "sharing" : "alone");
	ktap_ok(share_within(10, read_start, "/a", "f.1"), "root reads a small file");
	ktap_ok(share_within(10, read_far, "/a", "f.3000000"), "and a large one");
	ktap_ok(!umount("/a"), "unmount");
	drop_caches("1");
}

int main(void)
{
	int disk = open("/dev/harness/blk0", O_RDONLY);
	pid_t server;

	ktap_begin();
	mknod("/dev/fuse", S_IFCHR | 0666, makedev(10, 229));
	mkdir("/a", 0755);
	mkdir("/box", 0755);
	ktap_ok(!chmod("/dev/fuse", 0666) && !chmod("/dev", 0755) && !chmod("/", 0755) && !chown("/box", USER, USER),
		"anybody may have FUSE");
	server = serve(disk);
	try(server, false);
	if (access("/sys/fs/erofs/inode_share", F_OK))
		ktap_note("no page cache sharing here");
	else
		try(server, true);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

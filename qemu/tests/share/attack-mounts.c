// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: overlays in user namespaces, mapped ids, lazy unmounts, moves, marks and freezing over mounts that share
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE OVERLAY_FS USER_NS FANOTIFY
 * image: base share base
 * image: forged share forged
 * device: blk:base
 * device: blk:forged
 * cpus: 2
 * timeout: 90
 * flavours: fast
 */
#include <linux/fs.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/xattr.h>

#include "ktap.h"
#include "share.h"

#define NAME	"f.65536"
#define BYTES	65536
#define LARGE	"f.3000000"
static char good[BYTES], bad[BYTES], got[BYTES], big[3000000], big2[3000000];

struct attr { uint64_t set, clr, prop, userns; };

static int idmapped(const char *dir, const char *to)
{
	struct attr attr = { .set = 0x100000 };
	char path[64];
	int tree, ns, rc, ends[2];
	pid_t pid;
	char c = 0;

	pipe(ends);
	pid = fork();
	if (!pid) {
		unshare(CLONE_NEWUSER);
		write(ends[1], &c, 1);
		pause();
	}
	read(ends[0], &c, 1);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	write_to(path, "0 100000 65536");
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	write_to(path, "0 100000 65536");
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	ns = open(path, O_RDONLY);
	attr.userns = ns;
	tree = syscall(428, AT_FDCWD, dir, 1 /* OPEN_TREE_CLONE */);
	rc = syscall(442, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr));
	mkdir(to, 0755);
	if (!rc)
		rc = syscall(429, tree, "", AT_FDCWD, to, 4);
	close(tree);
	close(ns);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return rc;
}

/* an overlay of both in a namespace of its own. Return: 0 or where it went wrong */
static int overlay_in_userns(const char *lower, const char *good_is)
{
	pid_t pid = fork();
	int status, fd;
	char *p;

	if (pid) {
		waitpid(pid, &status, 0);
		return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
	}
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		_exit(1);
	write_to("/proc/self/setgroups", "deny");
	write_to("/proc/self/uid_map", "0 0 1");
	write_to("/proc/self/gid_map", "0 0 1");
	mkdir("/tmp/o", 0755);
	if (mount("t", "/tmp/o", "tmpfs", 0, NULL))
		_exit(2);
	mkdir("/tmp/o/u", 0755);
	mkdir("/tmp/o/w", 0755);
	mkdir("/tmp/o/m", 0755);
	{
		char options[256];

		snprintf(options, sizeof(options), "lowerdir=%s,upperdir=/tmp/o/u,workdir=/tmp/o/w,userxattr", lower);
		if (mount("o", "/tmp/o/m", "overlay", 0, options))
			_exit(3);
	}
	if (share_read("/tmp/o/m", NAME, got, BYTES) != BYTES || memcmp(got, good_is, BYTES))
		_exit(4);
	fd = open("/tmp/o/m/" NAME, O_RDONLY);
	p = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || memcmp(p, good_is, BYTES))
		_exit(5);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	readahead(fd, 0, BYTES);
	/* copied up */
	close(fd);
	fd = open("/tmp/o/m/" NAME, O_RDWR);
	if (fd < 0 || pwrite(fd, "hello", 5, 0) != 5)
		_exit(6);
	if (memcmp(p, good_is, BYTES))
		_exit(7);
	if (pread(fd, got, BYTES, 0) != BYTES || memcmp(got, "hello", 5) || memcmp(got + 5, good_is + 5, BYTES - 5))
		_exit(8);
	_exit(0);
}

int main(void)
{
	int a, b, fan, ino, frozen;
	volatile char *p;
	char buf[4096];
	ssize_t n;

	ktap_begin();
	for (int i = 0; i < 2; i++)
		ktap_ok(share_plain(i ? "/dev/harness/blk1" : "/dev/harness/blk0", "/plain") &&
			share_read("/plain", NAME, i ? bad : good, BYTES) == BYTES &&
			share_read("/plain", LARGE, i ? big2 : big, 3000000) == 3000000 && !umount("/plain"), "learn");
	ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL) && share_mount("/dev/harness/blk1", "/b", NULL), "mount");
	ktap_eq(overlay_in_userns("/a", good), 0, "overlay of the older one in a user namespace");
	ktap_eq(overlay_in_userns("/b", good), 0, "overlay of the younger one, fed by the older");
	ktap_eq(overlay_in_userns("/b:/a", good), 0, "overlay of both");
	ktap_ok(share_read("/a", NAME, got, BYTES) == BYTES && !memcmp(got, good, BYTES), "copying up changed nothing");
	ktap_eq(idmapped("/b", "/mapped"), 0, "a mount with mapped ids");
	{
		struct stat st;

		ktap_ok(!stat("/mapped/" NAME, &st) && st.st_uid >= 100000, "has them (%d)", (int)st.st_uid);
	}
	ktap_ok(share_read("/mapped", NAME, got, BYTES) == BYTES && !memcmp(got, good, BYTES), "and the shared file");
	/* marks */
	fan = fanotify_init(FAN_CLASS_CONTENT | FAN_NONBLOCK, O_RDONLY);
	ktap_ok(fan >= 0 && !fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN | FAN_ACCESS, AT_FDCWD, "/a"), "a mark of a file system");
	ino = inotify_init1(IN_NONBLOCK);
	inotify_add_watch(ino, "/b/" NAME, IN_ACCESS | IN_OPEN | IN_UNMOUNT);
	inotify_add_watch(ino, "/a/" NAME, IN_ACCESS | IN_OPEN | IN_UNMOUNT);
	a = share_open("/a", NAME);
	b = share_open("/b", NAME);
	pread(b, got, BYTES, 0);
	n = read(fan, buf, sizeof(buf));
	ktap_ok(n > 0, "the older one's opening is told");
	{
		struct fanotify_event_metadata *m = (void *)buf;
		int opened = 0, accessed = 0;

		for (; FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n)) {
			opened += !!(m->mask & FAN_OPEN);
			accessed += !!(m->mask & FAN_ACCESS);
			/* the event's own descriptor reads */
			ktap_ok(pread(m->fd, got, BYTES, 0) == BYTES && !memcmp(got, good, BYTES), "its descriptor reads the file");
			close(m->fd);
		}
		ktap_ok(opened == 1 && !accessed, "once, and nothing of the younger one's read (%d, %d)", opened, accessed);
	}
	/* what is queued keeps mounts, so let it go; the watches stay */
	close(fan);
	frozen = open("/a", O_RDONLY);
	ktap_fails(ioctl(frozen, _IOWR('X', 119, int), 0) < 0, EOPNOTSUPP, "it cannot be frozen");	/* FIFREEZE */
	close(frozen);
	/* lazily, under open files and mappings */
	p = share_map("/a", LARGE, 3000000);
	ktap_ok(!umount2("/a", MNT_DETACH), "unmount the older one lazily");
	drop_caches("1");
	ktap_ok(share_read("/b", LARGE, big2, 3000000) == 3000000 && !memcmp(big2, big, 3000000), "it still provides");
	ktap_ok(!memcmp((char *)p, big, 3000000), "and its mapping is right");
	/* a mount from the same disk while it is there, elsewhere */
	ktap_ok(share_mount("/dev/harness/blk0", "/again", NULL), "mount it again");
	ktap_ok(share_read("/again", NAME, got, BYTES) == BYTES && !memcmp(got, good, BYTES), "and read");
	ktap_ok(!umount("/again"), "and unmount");
	/* moves */
	mkdir("/moved", 0755);
	ktap_ok(!mount("/b", "/moved", NULL, MS_MOVE, NULL), "move the younger one");
	ktap_ok(!mount(NULL, "/moved", NULL, MS_REMOUNT | MS_RDONLY, "inode_share,domain_id=d"), "remount with the same options (%s)", strerror(errno));
	ktap_fails(mount(NULL, "/moved", NULL, MS_REMOUNT | MS_RDONLY, "inode_share,domain_id=e") < 0, EINVAL,
		   "not with another domain");
	munmap((void *)p, 3000000);
	close(a);
	usleep(100000);
	drop_caches("1");
	ktap_ok(share_read("/moved", LARGE, big2, 3000000) == 3000000 && memcmp(big2, big, 3000000), "when the last file is closed the younger one reads its own");
	ktap_ok(!access("/dev/harness/blk0", R_OK) && open("/dev/harness/blk0", O_RDONLY | O_EXCL) >= 0, "the disk is free (%s)", strerror(errno));
	close(b);
	ktap_ok(!umount("/mapped"), "unmount the mapped one");
	ktap_ok(share_within(2, share_umount, "/moved", ""), "unmount with marks of inotify");
	n = read(ino, buf, sizeof(buf));
	{
		int unmounts = 0;

		for (char *q = buf; n > 0 && q < buf + n; q += sizeof(struct inotify_event) + ((struct inotify_event *)q)->len)
			unmounts += !!(((struct inotify_event *)q)->mask & IN_UNMOUNT);
		ktap_eq(unmounts, 2, "inotify tells of both unmounts");
	}
	close(ino);
	share_settled(5);
	ktap_eq(shared_inodes(), 0, "no shared inode is left");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a signal that makes the server of an image's file give up a read is nobody's read error
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE FUSE_FS
 * image: base share base
 * device: blk:base
 * cpus: 2
 * timeout: 60
 *
 * The server is a FUSE one that answers EINTR to whoever has a signal, as it may.
 */
#include <linux/fuse.h>
#include <poll.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "ktap.h"
#include "share.h"

#define NAME	"f.3000000"
#define FAR	2000000
#define ROOT	FUSE_ROOT_ID
#define IMAGE	2

struct shared {
	volatile bool hold;	/* reads wait for a signal, half a second at most */
	volatile int interrupted;
};

static struct shared *shared;

static void answer(int dev, uint64_t unique, int error, const void *data, size_t size)
{
	struct fuse_out_header out = { .len = sizeof(out) + size, .error = error, .unique = unique };
	struct iovec iov[2] = { { &out, sizeof(out) }, { (void *)data, size } };

	writev(dev, iov, size ? 2 : 1);
}

static struct fuse_attr attr_of(uint64_t node, off_t size)
{
	struct fuse_attr attr = {
		.ino = node, .nlink = 1, .blksize = 4096,
		.mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0644,
		.size = node == ROOT ? 0 : size,
	};

	return attr;
}

/* Does the kernel say that who has asked for @unique has a signal? */
static bool has_signal(int dev, uint64_t unique)
{
	static char buffer[1 << 18];
	struct fuse_in_header *in = (void *)buffer;
	struct fuse_interrupt_in *which = (void *)(in + 1);
	struct pollfd p = { .fd = dev, .events = POLLIN };

	while (poll(&p, 1, 500) == 1) {
		if (read(dev, buffer, sizeof(buffer)) <= 0)
			return false;
		if (in->opcode == FUSE_INTERRUPT && which->unique == unique)
			return true;
		if (in->opcode != FUSE_INTERRUPT && in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET)
			answer(dev, in->unique, -EAGAIN, NULL, 0);
	}
	return false;
}

static void serve(int dev, int disk)
{
	static char buffer[1 << 18], data[1 << 18];
	off_t size = lseek(disk, 0, SEEK_END);
	struct fuse_in_header *in = (void *)buffer;

	while (read(dev, buffer, sizeof(buffer)) > 0) {
		switch (in->opcode) {
		case FUSE_INIT: {
			struct fuse_init_out out = { .major = 7, .minor = 31, .max_write = 131072 };

			answer(dev, in->unique, 0, &out, sizeof(out));
			break;
		}
		case FUSE_LOOKUP: {
			struct fuse_entry_out out = { .nodeid = IMAGE, .entry_valid = 3600, .attr_valid = 3600,
						      .attr = attr_of(IMAGE, size) };

			answer(dev, in->unique, 0, &out, sizeof(out));
			break;
		}
		case FUSE_GETATTR: {
			struct fuse_attr_out out = { .attr_valid = 3600, .attr = attr_of(in->nodeid, size) };

			answer(dev, in->unique, 0, &out, sizeof(out));
			break;
		}
		case FUSE_OPEN: {
			struct fuse_open_out out = { .fh = 1, .open_flags = FOPEN_KEEP_CACHE };

			answer(dev, in->unique, 0, &out, sizeof(out));
			break;
		}
		case FUSE_READ: {
			struct fuse_read_in *arg = (void *)(in + 1);
			ssize_t n;

			if (shared->hold && has_signal(dev, in->unique)) {
				shared->interrupted++;
				answer(dev, in->unique, -EINTR, NULL, 0);
				break;
			}
			n = pread(disk, data, arg->size, arg->offset);
			answer(dev, in->unique, n < 0 ? -EIO : 0, data, n < 0 ? 0 : n);
			break;
		}
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
			break;
		case FUSE_FLUSH:
		case FUSE_RELEASE:
			answer(dev, in->unique, 0, NULL, 0);
			break;
		default:
			answer(dev, in->unique, -ENOSYS, NULL, 0);
		}
	}
	_exit(0);
}

static void on_signal(int sig)
{
	(void)sig;
}

/* Read a byte while signals come that have a handler. */
static int read_with_signals(const char *dir, const char *name)
{
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct itimerval timer = { { 0, 100000 }, { 0, 100000 } };
	int fd = share_open(dir, name);
	char c;

	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	return pread(fd, &c, 1, FAR) == 1 ? 0 : errno;
}

int main(void)
{
	char options[128], c;
	pid_t server;
	int dev;

	ktap_begin();
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	mknod("/dev/fuse", S_IFCHR | 0600, makedev(10, 229));
	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", dev);
	mkdir("/box", 0755);
	ktap_ok(dev >= 0 && !mount("fuse", "/box", "fuse", 0, options), "mount a FUSE file system");
	server = fork();
	if (!server)
		serve(dev, open("/dev/harness/blk0", O_RDONLY));
	close(dev);
	ktap_ok(share_mount("/box/image", "/a", NULL) && share_mount("/dev/harness/blk0", "/b", NULL), "mount two");
	close(share_open("/a", NAME));
	close(share_open("/b", NAME));
	ktap_ok(read_extents("/a/" NAME) && share_read("/a", "f.1", &c, 1) == 1, "metadata is there");
	shared->hold = true;
	ktap_ok(share_within(20, read_with_signals, "/a", NAME), "who has signals gets his bytes");
	shared->hold = false;
	ktap_ok(shared->interrupted > 0, "the server gave up %d times", shared->interrupted);
	ktap_eq(share_counter(NULL, "failed"), 0, "nothing has failed");
	ktap_ok(!umount("/b") && !umount("/a") && !umount("/box"), "unmount all");
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

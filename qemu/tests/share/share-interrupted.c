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
#include <poll.h>
#include <sys/time.h>

#include "fuse.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.3000000"
#define FAR	2000000
#define MIDDLE	1000000	/* FUSE has no page cache of it either, when FAR is read */

struct shared {
	volatile bool hold;	/* reads wait for a signal, half a second at most */
	volatile int interrupted;
	off_t at;
};

static struct shared *shared;

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
			fuse_answer(dev, in->unique, -EAGAIN, NULL, 0);
	}
	return false;
}

static void read_image(int dev, const struct fuse_in_header *in, int disk)
{
	if (shared->hold && has_signal(dev, in->unique)) {
		shared->interrupted++;
		fuse_answer(dev, in->unique, -EINTR, NULL, 0);
		return;
	}
	fuse_answer_read(dev, in, disk);
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
	return pread(fd, &c, 1, shared->at) == 1 ? 0 : errno;
}

/* @sharing: others read the file for its users, and have no signals */
static void try(bool sharing)
{
	char c;

	ktap_ok(sharing ? share_mount("/box/image", "/a", NULL) && share_mount("/dev/harness/blk0", "/b", NULL) :
		share_plain("/box/image", "/a"), "mount %s", sharing ? "two" : "one without sharing");
	close(share_open("/a", NAME));
	if (sharing)
		close(share_open("/b", NAME));
	ktap_ok(read_extents("/a/" NAME) && share_read("/a", "f.1", &c, 1) == 1, "metadata is there");
	shared->at = sharing ? FAR : MIDDLE;
	shared->interrupted = 0;
	shared->hold = true;
	ktap_ok(share_within(20, read_with_signals, "/a", NAME), "who has signals gets his bytes");
	shared->hold = false;
	if (sharing)
		ktap_eq(share_counter(NULL, "failed"), 0, "nothing has failed");
	else
		ktap_ok(shared->interrupted > 0, "the server gave up %d times", shared->interrupted);
	ktap_ok((!sharing || !umount("/b")) && !umount("/a"), "unmount");
}

int main(void)
{
	pid_t server;
	int dev, disk;

	ktap_begin();
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	dev = fuse_mount("/box");
	ktap_ok(dev >= 0, "mount a FUSE file system");
	disk = open("/dev/harness/blk0", O_RDONLY);
	server = fork();
	if (!server)
		fuse_serve(dev, lseek(disk, 0, SEEK_END), read_image, disk);
	close(dev);
	try(true);
	try(false);
	ktap_ok(!umount("/box"), "unmount the file system");
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

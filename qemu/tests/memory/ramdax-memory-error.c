// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a memory error hits who reads or maps the bytes, also in metadata, and nobody else
 * config: MEMORY_FAILURE HWPOISON_INJECT PAGE_SIZE_4KB
 * image: tree tree
 * device: pmem:tree
 * device: ramdax:tree
 *
 * Errors are injected by page frame (hwpoison in debugfs): what the kernel does
 * is the same as after a machine check, but the bytes stay readable.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "pages.h"
#include "system.h"

#define PAGE		4096UL
/* of data.65536, which has 16 */
#define BAD		5

static volatile char *bad_address;
/* of the device that was mounted last */
static uint64_t first_frame;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	_exit((char *)((uintptr_t)info->si_addr & -PAGE) == bad_address ? info->si_code : 100);
}

/* When a child is to touch the bad page: */
enum when { NOW, LATER, NEVER };

struct child {
	pid_t pid;
	int go;
};

/*
 * A child that maps @path and touches each page, but not the bad one if that
 * comes NOW; then it tells the parent.  LATER waits for child_status(), NEVER
 * for the signal that the kernel sends to those who want it early.
 */
static struct child map_in_child(const char *path, int flags, enum when when)
{
	struct child child = { .pid = -1 };
	int ready[2], go[2];
	char c;

	if (pipe(ready) || pipe(go))
		return child;
	child.pid = fork();
	if (!child.pid) {
		struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
		int fd = open(path, O_RDONLY);
		volatile char *p;
		struct stat st;

		close(go[1]);
		if (fstat(fd, &st))
			_exit(101);
		p = mmap(NULL, st.st_size, PROT_READ, flags, fd, 0);
		if (p == MAP_FAILED)
			_exit(101);
		bad_address = p + BAD * PAGE;
		sigaction(SIGBUS, &sa, NULL);
		if (when == NEVER)
			prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
		for (long i = 0; i < (long)(st.st_size / PAGE); i++)
			if (i != BAD || when != NOW)
				(void)p[i * PAGE];
		if (write(ready[1], "", 1) != 1)
			_exit(101);
		if (when == NEVER)
			sleep(20);
		else if (when == LATER && read(go[0], &c, 1) != 1)
			_exit(101);
		(void)*bad_address;
		_exit(102);
	}
	close(ready[1]);
	close(go[0]);
	child.go = go[1];
	if (read(ready[0], &c, 1) != 1)
		ktap_note("the child is not ready");
	close(ready[0]);
	return child;
}

/* Return: the si_code of the SIGBUS that @child got at the bad page; above 99 otherwise. */
static int child_status(struct child child)
{
	int status = -1;

	/* it may have had its signal already */
	(void)!write(child.go, "", 1);
	close(child.go);
	waitpid(child.pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 103;
}

/* Return: bytes read, or -errno. */
static ssize_t read_at(const char *path, void *buf, size_t size, off_t offset)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, size, offset);

	n = n < 0 ? -errno : n;
	if (fd >= 0)
		close(fd);
	return n;
}

static void try_mount(const char *what, const char *device, const char *options)
{
	static char before[65536], after[65536];
	int64_t file, tail, metadata;
	uint64_t base;
	struct child shared, private, early;
	int told, fd;
	ssize_t n;
	char *p;

	if (!ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, options), "%s: mount", what))
		return;
	read_at("/mnt/data.65536", before, sizeof(before), 0);
	file = place_of("/mnt/data.65536");
	tail = place_of("/mnt/data.4097");
	metadata = place_of("/mnt/many");
	fd = open("/mnt/data.65536", O_RDONLY);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	base = page_frame(p);
	munmap(p, PAGE);
	close(fd);
	if (!ktap_ok(base && ktap_is(file, >, 0) && ktap_is(tail, >, 0) &&
	    ktap_is(metadata, >, 0), "%s: places of a file, a tail, a directory", what))
		return;
	base -= file / PAGE;
	first_frame = base;

	/* in the data of a file */
	shared = map_in_child("/mnt/data.65536", MAP_SHARED, LATER);
	private = map_in_child("/mnt/data.65536", MAP_PRIVATE, LATER);
	early = map_in_child("/mnt/data.65536", MAP_SHARED, NEVER);
	ktap_ok(page_poison(base + file / PAGE + BAD),
		"%s: an error in a page that is mapped is handled", what);
	ktap_eq(child_status(early), BUS_MCEERR_AO, "%s: a process that asked for early signals gets one", what);
	ktap_ok(ktap_is(child_status(shared), <, 100), "%s: a process that maps it gets SIGBUS there", what);
	ktap_ok(ktap_is(child_status(private), <, 100), "%s: through a private mapping too", what);
	ktap_ok(ktap_is(child_status(map_in_child("/mnt/data.65536", MAP_SHARED, NOW)), <, 100),
		"%s: a process that maps it later gets SIGBUS there, and the pages around it", what);
	ktap_eq(read_at("/mnt/data.65536", after, PAGE, BAD * PAGE), -EIO, "%s: read gives EIO", what);
	ktap_ok(ktap_is(read_at("/mnt/data.65536", after, sizeof(after), 0), ==, BAD * PAGE) &&
		!memcmp(before, after, BAD * PAGE), "%s: read ends before it", what);
	n = read_at("/mnt/data.65536", after, sizeof(after), (BAD + 1) * PAGE);
	ktap_ok(ktap_is(n, ==, (16 - BAD - 1) * PAGE) && !memcmp(before + (BAD + 1) * PAGE, after, n),
		"%s: what is behind it can be read", what);

	/* in a block of a file with an inline tail, which is read in another way */
	ktap_ok(page_poison(base + tail / PAGE) || errno == EBUSY, "%s: an error in a page that nobody maps", what);
	ktap_eq(read_at("/mnt/data.4097", after, PAGE, 0), -EIO, "%s: read gives EIO", what);
	ktap_eq(read_at("/mnt/data.4097", after, PAGE, PAGE), 1, "%s: the tail can be read", what);
	ktap_ok(ktap_is(read_at("/mnt/one", after, 1, 0), ==, 1) &&
		!access("/mnt/many/a-rather-long-name-so-that-it-takes-several-blocks-7", F_OK),
		"%s: the mount lives on", what);

	/* in metadata */
	told = times_said("memory error in metadata");
	ktap_ok(page_poison(base + metadata / PAGE), "%s: an error in a directory", what);
	ktap_fails(access("/mnt/many/a", F_OK), EIO, "%s: a lookup in it gives EIO", what);
	ktap_fails(access("/mnt/many/a", F_OK), EIO, "%s: so does another", what);
	ktap_ok(!access("/mnt/bin/script", F_OK), "%s: elsewhere it does not", what);
	ktap_eq(read_at("/mnt/one", after, 1, 0), 1, "%s: nor does a read", what);
	ktap_eq(times_said("memory error in metadata"), told + 1, "%s: the mount says so once", what);
	ktap_ok(!umount("/mnt"), "%s: unmount", what);
}

int main(void)
{
	static char byte;
	static const char *const dax = "/dev/harness/ramdax0";
	int told;

	ktap_begin();
	signal(SIGPIPE, SIG_IGN);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	try_mount("block device", "/dev/harness/pmem0", "dax=always");
	try_mount("DAX device", dax, "");

	/* the driver of the DAX device knows what the mount before was told */
	ktap_ok(!mount(dax, "/mnt", "erofs", MS_RDONLY, NULL), "a device with errors can be mounted");
	ktap_eq(read_at("/mnt/data.65536", &byte, 1, BAD * PAGE), -EIO, "its errors are not forgotten");
	ktap_eq(read_at("/mnt/one", &byte, 1, 0), 1, "other data can be read");
	umount("/mnt");
	/* which is an error that nobody handles, since nobody has the device */
	page_poison(first_frame);
	told = times_said("memory error in metadata");
	ktap_fails(mount(dax, "/mnt", "erofs", MS_RDONLY, NULL), EIO,
		"a device whose superblock is lost cannot be mounted");
	ktap_eq(times_said("memory error in metadata"), told + 1, "and it is said why");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file on a DAX mount has no page cache, whoever asks for it
 * config: EROFS_FS FS_DAX CACHESTAT_SYSCALL BLK_DEV_LOOP PAGE_SIZE_4KB
 * image: twice crafted twice
 * device: pmem:twice
 *
 * Without "mm/filemap: do not take DAX entries for shadows in cachestat()" what is
 * mapped is counted as evicted, and kernels with NUMA oops.  Without "erofs: keep page
 * cache out of files on DAX mounts" a uprobe, or a mount of an image in a file, puts
 * page cache where the entries of DAX are; then the kernel warns and hangs or oopses.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ktap.h"
#include "loop.h"

#define PAGE		4096
#define HUGE		(2UL << 20)
#define TRACING		"/sys/kernel/tracing/"
#define NR_CACHESTAT	451

struct range {
	uint64_t at, len;
};

struct counts {
	uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

static const char *map(const char *path, size_t len, int prot)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *p = mmap(NULL, len, prot, MAP_SHARED, fd, 0);

	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static void touch(const volatile char *p, size_t len)
{
	for (size_t at = 0; p && at < len; at += PAGE)
		(void)p[at];
}

/* Neither entries of 4 KiB nor those of 2 MiB are cached, or evicted. */
static void test_cachestat(const char *path, size_t len)
{
	struct counts got = { 1, 1, 1, 1, 1 };
	struct range all = { 0, 0 };
	const char *p = map(path, len, PROT_READ);
	int fd = open(path, O_RDONLY);

	touch(p, len);
	ktap_ok(p && !syscall(NR_CACHESTAT, fd, &all, &got, 0), "%s: map it and ask cachestat(2)", path);
	ktap_ok(!(got.cached | got.dirty | got.writeback | got.evicted | got.recently_evicted),
		"%s: %llu pages cached, %llu evicted, %llu of them lately", path, (unsigned long long)got.cached,
		(unsigned long long)got.evicted, (unsigned long long)got.recently_evicted);
	munmap((void *)p, len);
	close(fd);
}

static bool put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_APPEND);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int error = errno;

	close(fd);
	errno = error;
	return ok;
}

/* A probe on a program is refused, and the program goes on. */
static void test_uprobe(void)
{
	const char *code;

	if (access("/sys/kernel/tracing", F_OK) || mount("t", "/sys/kernel/tracing", "tracefs", 0, NULL) ||
	    access(TRACING "uprobe_events", F_OK)) {
		ktap_skip("a uprobe is refused", "the kernel has none");
		return;
	}
	code = map("/mnt/code", PAGE, PROT_READ | PROT_EXEC);
	if (!ktap_ok(code, "map a program"))
		return;
	((void (*)(void))code)();
	ktap_ok(put(TRACING "uprobe_events", "p:here /mnt/code:0x1"), "define a uprobe on it");
	ktap_fails(!put(TRACING "events/uprobes/here/enable", "1"), EIO, "it cannot be set");
	/* what a probe would have broken is met by the next fault */
	madvise((void *)code, PAGE, MADV_DONTNEED);
	((void (*)(void))code)();
	ktap_ok(true, "the program runs, before and after");
	put(TRACING "uprobe_events", "-:here");
	munmap((void *)code, PAGE);
	umount("/sys/kernel/tracing");
}

/* An image in a file is mounted by a loop device; from the file, if that needs no page cache of it. */
static void test_nested(void)
{
	const char *p = map("/mnt/image", PAGE, PROT_READ);
	char device[32], text[16] = "";
	int loop, fd;

	mkdir("/in", 0755);
	touch(p, PAGE);
	if (mount("/mnt/image", "/in", "erofs", MS_RDONLY, NULL)) {
		ktap_eq(errno, ENOTBLK, "an image in a file is not mounted from the file");
	} else {
		fd = open("/in/file", O_RDONLY);
		ktap_ok(ktap_is(read(fd, text, 8), ==, 8) && !strcmp(text, "device 7"),
			"an image is mounted from a file, and read");
		close(fd);
		ktap_ok(!umount("/in"), "unmount that");
		memset(text, 0, sizeof(text));
	}
	loop = loop_attach("/mnt/image", device);
	ktap_ok(ktap_is(loop, >=, 0) && !mount(device, "/in", "erofs", MS_RDONLY, NULL), "it is by a loop device");
	close(loop);
	fd = open("/in/file", O_RDONLY);
	ktap_ok(ktap_is(read(fd, text, 8), ==, 8) && !strcmp(text, "device 7"), "its file can be read");
	close(fd);
	ktap_ok(!umount("/in"), "unmount it");
	madvise((void *)p, PAGE, MADV_DONTNEED);
	ktap_ok(!memcmp(p + 1024, "\xe2\xe1\xf5\xe0", 4), "the file is mapped all the while");
	munmap((void *)p, PAGE);
}

int main(void)
{
	int status;

	ktap_begin();
	if (!ktap_ok(!mount("/dev/harness/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount the image"))
		return ktap_end();
	test_cachestat("/mnt/a", 2 * PAGE);
	test_cachestat("/mnt/huge1", HUGE);
	test_uprobe();
	test_nested();
	/* the loop device lets its file go a moment after its last user */
	for (int tries = 0; (status = umount("/mnt")) && errno == EBUSY && tries < 100; tries++)
		usleep(100000);
	ktap_ok(!status, "unmount");
	return ktap_end();
}

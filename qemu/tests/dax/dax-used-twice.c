// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that two inodes of a corrupted image have belongs to one of them, or to nobody
 * config: EROFS_FS FS_DAX BLK_DEV_DM PAGE_SIZE_4KB
 * image: twice crafted twice
 * device: pmem:twice
 *
 * Where the file system hears of memory errors it can say that pages are shared.
 * Through device-mapper it hears of none, so there the other inode gets SIGBUS.
 * Without "fsdax: fail the fault on a page that two files have" the kernel warns, and
 * the harness fails the guest for it.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "dm.h"
#include "ktap.h"

#define PAGE		4096
#define HUGE		(2UL << 20)

static sigjmp_buf bus;

static void on_sigbus(int sig)
{
	(void)sig;
	siglongjmp(bus, 1);
}

/* Load a byte of each page. Return: whether all of them can be had. */
static bool load(const volatile char *p, size_t len)
{
	if (sigsetjmp(bus, 1))
		return false;
	for (size_t at = 0; at < len; at += PAGE)
		(void)p[at];
	return true;
}

static char *map(const char *path, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);

	close(fd);
	if (p == MAP_FAILED)
		ktap_ok(false, "map %s", path);
	return p;
}

/* The pages of @one are those of @two, from @from on; are they only had by one? */
static void test_pair(const char *one, const char *two, size_t len, size_t from, bool only_one)
{
	char *p = map(one, len), *q = map(two, len);
	char buf[PAGE];
	int fd;

	if (p == MAP_FAILED || q == MAP_FAILED)
		return;
	ktap_ok(load(p, len), "%s: map all of it", one);
	if (only_one)
		ktap_ok(!load(q, PAGE), "%s: its first page belongs to the other file: SIGBUS", two);
	else
		ktap_ok(!load(q, PAGE) || !memcmp(q, p + from, PAGE), "%s: SIGBUS, or the same page", two);
	if (from)
		ktap_ok(load(q + len - from, from), "%s: the page that it has for itself can be had", two);
	ktap_ok(load(p, len), "%s: still there", one);
	fd = open(two, O_RDONLY);
	ktap_ok(read(fd, buf, PAGE) == PAGE && !memcmp(buf, p + from, PAGE), "%s: read(2) works all the same", two);
	close(fd);
	munmap(p, len);
	munmap(q, len);
}

static void test_device(const char *device, bool only_one)
{
	char *q;

	if (!ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount %s", device))
		return;
	test_pair("/mnt/a", "/mnt/b", 2 * PAGE, PAGE, only_one);
	test_pair("/mnt/huge1", "/mnt/huge2", HUGE, 0, only_one);
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount it again");
	q = map("/mnt/b", 2 * PAGE);
	ktap_ok(q != MAP_FAILED && load(q, 2 * PAGE), "now the other file comes first, and has the page");
	munmap(q, 2 * PAGE);
	ktap_ok(!umount("/mnt"), "unmount");
}

int main(void)
{
	char device[32];

	ktap_begin();
	signal(SIGBUS, on_sigbus);
	test_device("/dev/harness/pmem0", false);
	ktap_ok(dm_create("t", "/dev/harness/pmem0", "linear", "", device), "make a device-mapper device of it");
	test_device(device, true);
	ktap_ok(dm_remove("t"), "remove that");
	return ktap_end();
}

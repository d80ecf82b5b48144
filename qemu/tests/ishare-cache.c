// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: files of several images share page cache, right in each layout and order
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE BLK_DEV_LOOP
 * image: set share-set
 * device: blk:set
 * timeout: 120
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ktap.h"
#include "loop.h"
#include "pages.h"

struct cachestat { uint64_t nr_cache, nr_dirty, nr_writeback, nr_evicted, nr_recently_evicted; };
struct cachestat_range { uint64_t off, len; };

/* mount an image of the set, on a loop device unless it is to be in a file */
static bool share_as(const char *image, const char *dir, const char *domain, bool in_file)
{
	char path[64], device[32], blob[32], options[128] = "";
	bool has_blob = !strcmp(image, "blob") || !strcmp(image, "cut");
	int loop = -1, loop_of_blob = -1, n = 0;
	bool ok;

	mkdir(dir, 0755);
	if (domain)
		n = snprintf(options, sizeof(options), "inode_share,domain_id=%s", domain);
	snprintf(path, sizeof(path), "/set/%s.blob", image);
	if (has_blob) {
		if (!in_file)
			loop_of_blob = loop_attach(path, blob);
		snprintf(options + n, sizeof(options) - n, "%sdevice=%s", n ? "," : "", in_file ? path : blob);
	}
	snprintf(path, sizeof(path), "/set/%s", image);
	if (!in_file)
		loop = loop_attach(path, device);
	ok = !mount(in_file ? path : device, dir, "erofs", MS_RDONLY, options);
	close(loop);
	close(loop_of_blob);
	return ok;
}

static bool share(const char *image, const char *dir, const char *domain)
{
	return share_as(image, dir, domain, false);
}

static void drop(const char *what)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	if (write(fd, what, strlen(what)) < 0)
		perror("drop_caches");
	close(fd);
}

static bool content_ok(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "cd %s && sha256sum -c SHA256SUMS > /tmp/sums || { grep -v OK /tmp/sums; exit 1; }", dir);
	return !system(command);
}

/* pages of a file that are cached; opens it, reads nothing */
static long cached(const char *dir, const char *name)
{
	struct cachestat_range range = { 0, 0 };
	struct cachestat stat;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || syscall(451, fd, &range, &stat, 0))
		stat.nr_cache = -1;
	close(fd);
	return stat.nr_cache;
}

/* the first byte of a file, read anew; -1 on error */
static int first(const char *dir, const char *name)
{
	unsigned char byte;
	char path[128];
	int fd, n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	n = read(fd, &byte, 1);
	close(fd);
	return n == 1 ? byte : -1;
}

/* a counter of a mount on a loop device, or with NULL of all */
static long stat_of(const char *dir, const char *name)
{
	char path[128];
	struct stat st;
	long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/fs/erofs/inode_share/%s", name);
	if (dir && !stat(dir, &st))
		snprintf(path, sizeof(path), "/sys/fs/erofs/loop%u/inode_share/%s", minor(st.st_dev), name);
	file = fopen(path, "r");
	if (file && fscanf(file, "%ld", &value) != 1)
		value = -1;
	if (file)
		fclose(file);
	return value;
}

/* objects in use, and none that only wait in some CPU's list */
static long slab(const char *name)
{
	char line[256], found[64];
	long active = 0, n;
	FILE *file;

	snprintf(line, sizeof(line), "sleep 0.2; echo 1 > /sys/kernel/slab/%s/shrink", name);
	if (system(line))
		return -1;
	file = fopen("/proc/slabinfo", "r");

	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %ld", found, &n) == 2 && !strcmp(found, name))
			active = n;
	fclose(file);
	return active;
}

static const unsigned char *map(const char *path, size_t size)
{
	int fd = open(path, O_RDONLY);
	void *address = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	close(fd);
	return address == MAP_FAILED ? NULL : address;
}

static void layouts(void)
{
	static const struct { const char *image, *name; } layout[] = {
		{ "inline1k", "blocks of 1 KiB, inline tails" }, { "block512", "blocks of 512 bytes" },
		{ "chunk", "chunks" }, { "blob", "chunks on another device" },
		{ "lz4", "lz4, ztailpacking, fragments, dedupe" }, { "lzma", "lzma" },
		{ "deflate", "deflate, blocks of 1 KiB" }, { "zstd", "zstd" },
	};

	for (size_t i = 0; i < sizeof(layout) / sizeof(*layout); i++) {
		drop("3");
		ktap_ok(share(layout[i].image, "/mnt/a", "d") && content_ok("/mnt/a"), "%s: content", layout[i].name);
		ktap_ok(share("base", "/mnt/b", "d") && cached("/mnt/b", "f.3000000") == 733,
			"%s: is what a plain image has cached, too", layout[i].name);
		ktap_ok(content_ok("/mnt/b"), "%s: content, seen from a plain image", layout[i].name);
		umount("/mnt/a");
		drop("3");
		ktap_ok(content_ok("/mnt/b"), "%s: content without it", layout[i].name);
		umount("/mnt/b");
		/* and the other way round */
		share("base", "/mnt/b", "d");
		share(layout[i].image, "/mnt/a", "d");
		ktap_ok(content_ok("/mnt/b") && cached("/mnt/a", "f.3000000") == 733 && content_ok("/mnt/a"),
			"%s: reads what a plain image has cached", layout[i].name);
		umount("/mnt/a");
		umount("/mnt/b");
	}
	for (size_t i = 0; i < sizeof(layout) / sizeof(*layout); i++) {
		/*
		 * Linux opens further devices with a lock of the new superblock held;
		 * lockdep takes that for the lock of the one that the file is in.
		 */
		if (!strcmp(layout[i].image, "blob"))
			continue;
		drop("3");
		ktap_ok(share_as(layout[i].image, "/mnt/a", "d", true) && content_ok("/mnt/a"), "%s, in a file: content",
			layout[i].name);
		ktap_ok(share("base", "/mnt/b", "d") && cached("/mnt/b", "f.3000000") == 733,
			"%s, in a file: is what an image on a disk has cached, too", layout[i].name);
		umount("/mnt/a");
		umount("/mnt/b");
	}
}

static void sharing(void)
{
	const unsigned char *a, *b, *other;
	char buffer[4096] __attribute__((aligned(4096)));
	long n;
	int fd;

	drop("3");
	share("base", "/mnt/a", "d");
	share("next", "/mnt/b", "d");
	ktap_ok(content_ok("/mnt/a"), "content");
	ktap_ok(cached("/mnt/a", "f.65536") == 16 && cached("/mnt/b", "f.65536") == 16, "a compressed copy is cached");
	ktap_ok(cached("/mnt/b", "same.2") == 51, "so is a copy under another name");
	ktap_ok(cached("/mnt/b", "new") == 0, "a file of its own is not");
	ktap_ok(content_ok("/mnt/b"), "content of the compressed copy");

	a = map("/mnt/a/f.65536", 65536);
	b = map("/mnt/b/f.65536", 65536);
	ktap_ok(a && b && a[5000] == b[5000] && page_frame(a + 5000) &&
		page_frame(a + 5000) == page_frame(b + 5000),
		"both map the same pages");

	/* each but the empty file and SHA256SUMS, which differs; the same.* are one */
	ktap_ok(stat_of("/mnt/a", "attached") == 14 && stat_of("/mnt/b", "attached") == 14 && stat_of(NULL, "attached") == 28,
		"counted: attached files (%ld, %ld)", stat_of("/mnt/a", "attached"), stat_of("/mnt/b", "attached"));
	ktap_ok(stat_of(NULL, "cached_bytes") == stat_of("/mnt/a", "cached_bytes") + stat_of("/mnt/b", "cached_bytes") &&
		stat_of("/mnt/b", "cached_bytes") == 8192, "counted: bytes cached once (%ld)", stat_of(NULL, "cached_bytes"));
	ktap_ok(stat_of(NULL, "saved_bytes") == stat_of("/mnt/a", "saved_bytes") + stat_of("/mnt/b", "saved_bytes") &&
		stat_of("/mnt/a", "saved_bytes") == 2 * 51 * 4096, "counted: bytes saved (%ld)", stat_of(NULL, "saved_bytes"));
	ktap_ok(!stat_of(NULL, "provider_switches") && !stat_of(NULL, "mismatches") && !stat_of(NULL, "refused"),
		"counted: nothing out of the ordinary");

	drop("2");
	ktap_ok(cached("/mnt/b", "f.300001") == 74, "reclaim of inodes leaves the pages");
	fd = open("/mnt/b/f.65536", O_RDONLY);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	munmap((void *)a, 65536);
	munmap((void *)b, 65536);
	fd = open("/mnt/b/f.300001", O_RDONLY);
	close(open("/mnt/a/f.300001", O_RDONLY));
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	ktap_ok(cached("/mnt/a", "f.300001") == 74, "DONTNEED does not take what another mount uses");
	close(fd);
	fd = open("/mnt/b/new", O_RDONLY);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	ktap_ok(cached("/mnt/b", "new") == 0, "DONTNEED takes what nobody else uses");

	fd = open("/mnt/a/f.65536", O_RDONLY | O_DIRECT);
	ktap_ok(fd >= 0 && read(fd, buffer, 4096) == 4096, "O_DIRECT on a plain file");
	close(fd);
	fd = open("/mnt/b/f.65536", O_RDONLY | O_DIRECT);
	ktap_ok(fd < 0 && errno == EINVAL, "O_DIRECT on a compressed file is refused, as without sharing");

	share("chunk", "/mnt/c", "another");
	ktap_ok(cached("/mnt/c", "f.65536") == 0, "another domain shares nothing");
	other = map("/mnt/c/f.65536", 65536);
	a = map("/mnt/a/f.65536", 65536);
	ktap_ok(a && other && a[0] == other[0] && page_frame(a) != page_frame(other), "and maps pages of its own");
	munmap((void *)a, 65536);
	munmap((void *)other, 65536);
	umount("/mnt/c");

	/* whoever goes first, the rest reads on */
	fd = open("/mnt/b/f.3000000", O_RDONLY);
	drop("3");
	ktap_ok(!umount("/mnt/a"), "the provider is unmounted");
	ktap_ok(pread(fd, buffer, 4096, 2990000) == 4096 && content_ok("/mnt/b"), "the other one serves itself");
	share("base", "/mnt/a", "d");
	ktap_ok(content_ok("/mnt/a"), "and the first one comes back");
	close(fd);
	ktap_ok(!umount("/mnt/b"), "unmount the second one (%s)", strerror(errno));
	ktap_ok(content_ok("/mnt/a"), "content of the first one");
	ktap_ok(!umount("/mnt/a"), "unmount the first one (%s)", strerror(errno));
	drop("3");
	n = slab("erofs_shared_inode");
	ktap_ok(!n, "no shared inode is left (%ld)", n);
	ktap_ok(!stat_of(NULL, "attached") && !stat_of(NULL, "cached_bytes") && !stat_of(NULL, "saved_bytes"),
		"and nothing is counted as cached");
}

static void trust(void)
{
	const unsigned char *young;
	int good, bad;

	share("base", "/mnt/a", NULL);
	good = first("/mnt/a", "f.65536");
	umount("/mnt/a");
	share("forged", "/mnt/b", NULL);
	bad = first("/mnt/b", "f.65536");
	umount("/mnt/b");
	ktap_ok(good >= 0 && bad >= 0 && good != bad, "the forged file differs");

	drop("3");
	share("base", "/mnt/a", "d");
	share("forged", "/mnt/b", "d");
	young = map("/mnt/b/f.65536", 65536);
	ktap_ok(young[0] == bad, "a forged file alone has its own content");
	ktap_ok(first("/mnt/a", "f.65536") == good, "an older mount never reads it");
	ktap_ok(young[0] == good, "the younger mount reads what the older one has");
	munmap((void *)young, 65536);
	ktap_ok(content_ok("/mnt/a"), "content of the older mount");
	drop("3");
	ktap_ok(first("/mnt/b", "f.65536") == bad || first("/mnt/b", "f.65536") == good, "read by the younger one");
	ktap_ok(content_ok("/mnt/a"), "content of the older mount, once more");
	umount("/mnt/a");
	umount("/mnt/b");

	share("base", "/mnt/a", "d");
	share("size", "/mnt/b", "d");
	content_ok("/mnt/a");
	ktap_ok(cached("/mnt/b", "f.65536") == 0, "equal fingerprints and other sizes are not shared");
	ktap_ok(cached("/mnt/b", "f.4096") == 1, "the other files of that image are");
	ktap_ok(content_ok("/mnt/b") && content_ok("/mnt/a"), "content of both");
	ktap_ok(stat_of("/mnt/b", "mismatches") == 1 && stat_of(NULL, "mismatches") == 1, "it is counted");
	ktap_ok(!system("[ $(dmesg | grep -c 'file of another size') = 1 ]"), "it is said once");
	umount("/mnt/a");
	umount("/mnt/b");
}

static void failure(void)
{
	drop("3");
	share("cut", "/mnt/a", "d");
	ktap_ok(!content_ok("/mnt/a"), "an image with an incomplete device fails alone");
	share("next", "/mnt/b", "d");
	ktap_ok(content_ok("/mnt/b"), "an image that shares with it does not");
	drop("3");
	ktap_ok(content_ok("/mnt/b"), "nor after a drop of caches");
	ktap_ok(stat_of("/mnt/b", "provider_switches") > 0, "the switch is counted");
	ktap_ok(content_ok("/mnt/a"), "the incomplete one reads what its sibling has");
	umount("/mnt/b");
	drop("3");
	ktap_ok(!content_ok("/mnt/a"), "and fails without it");
	umount("/mnt/a");
}

int main(void)
{
	ktap_begin();
	mkdir("/set", 0755);
	ktap_ok(!mount("/dev/harness/blk0", "/set", "erofs", MS_RDONLY, NULL), "mount the image that holds the images");
	sharing();
	layouts();
	trust();
	failure();
	ktap_ok(!system("! dmesg | grep -E 'Busy inodes|BUG|WARN'"), "no complaint of the kernel");
	return ktap_end();
}

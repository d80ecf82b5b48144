// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: files of several images share page cache, right in each layout and order
 * series: 4-share
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
#include "share.h"

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

/* bytes of same.1, see qemu/images/recipes/share */
#define SAME	(3 * (65536 + 4095))

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

/* a counter of a mount on a loop device */
static long counter_of(const char *dir, const char *name)
{
	struct stat st;

	return stat(dir, &st) ? -1 : number_in("/sys/fs/erofs/loop%u/inode_share/%s", minor(st.st_dev), name);
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
		drop_caches("3");
		ktap_ok(share(layout[i].image, "/mnt/a", "d") &&
			sums_ok("/mnt/a"), "%s: content", layout[i].name);
		ktap_ok(share("base", "/mnt/b", "d") && ktap_is(cached("/mnt/b", "f.3000000"), ==, pages_of(3000000)),
			"%s: is what a plain image has cached, too", layout[i].name);
		ktap_ok(sums_ok("/mnt/b"), "%s: content, seen from a plain image", layout[i].name);
		umount("/mnt/a");
		drop_caches("3");
		ktap_ok(sums_ok("/mnt/b"), "%s: content without it", layout[i].name);
		umount("/mnt/b");
		/* and the other way round */
		share("base", "/mnt/b", "d");
		share(layout[i].image, "/mnt/a", "d");
		ktap_ok(sums_ok("/mnt/b") && ktap_is(cached("/mnt/a", "f.3000000"), ==, pages_of(3000000)) &&
			sums_ok("/mnt/a"),
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
		drop_caches("3");
		ktap_ok(share_as(layout[i].image, "/mnt/a", "d", true) &&
			sums_ok("/mnt/a"), "%s, in a file: content",
			layout[i].name);
		ktap_ok(share("base", "/mnt/b", "d") && ktap_is(cached("/mnt/b", "f.3000000"), ==, pages_of(3000000)),
			"%s, in a file: is what an image on a disk has cached, too", layout[i].name);
		umount("/mnt/a");
		umount("/mnt/b");
	}
}

static void sharing(void)
{
	static const char *const sums[] = { "attached", "cached_bytes", "saved_bytes" };
	const unsigned char *a, *b, *other;
	char buffer[4096] __attribute__((aligned(4096)));
	int fd;

	drop_caches("3");
	share("base", "/mnt/a", "d");
	share("next", "/mnt/b", "d");
	ktap_ok(sums_ok("/mnt/a"), "content");
	ktap_ok(ktap_is(cached("/mnt/a", "f.65536"), ==, pages_of(65536)) &&
		ktap_is(cached("/mnt/b", "f.65536"), ==, pages_of(65536)), "a compressed copy is cached");
	ktap_eq(cached("/mnt/b", "same.2"), pages_of(SAME), "so is a copy under another name");
	ktap_eq(cached("/mnt/b", "new"), 0, "a file of its own is not");
	ktap_ok(sums_ok("/mnt/b"), "content of the compressed copy");

	a = map("/mnt/a/f.65536", 65536);
	b = map("/mnt/b/f.65536", 65536);
	ktap_ok(a && b && ktap_is(a[5000], ==, b[5000]) && page_frame(a + 5000) &&
		ktap_is(page_frame(a + 5000), ==, page_frame(b + 5000)),
		"both map the same pages");

	/* each but the empty file and SHA256SUMS, which differs; the same.* are one */
	ktap_eq(counter_of("/mnt/a", "attached"), 14, "counted: attached files");
	ktap_eq(counter_of("/mnt/b", "attached"), 14, "counted: those of the other image");
	ktap_eq(counter_of("/mnt/b", "cached_bytes"), 2 * getpagesize(), "counted: bytes cached once");
	ktap_eq(counter_of("/mnt/a", "saved_bytes"), 2 * pages_of(SAME) * getpagesize(), "counted: bytes saved");
	for (size_t i = 0; i < sizeof(sums) / sizeof(*sums); i++)
		ktap_eq(share_counter(NULL, sums[i]), counter_of("/mnt/a", sums[i]) + counter_of("/mnt/b", sums[i]),
			"counted: %s of all is the sum of the mounts", sums[i]);
	ktap_ok(!share_counter(NULL, "provider_switches") && !share_counter(NULL, "failed") &&
		!share_counter(NULL, "refused"),
		"counted: nothing out of the ordinary");

	/* the older one goes on to provide what it has open */
	fd = open("/mnt/a/f.300001", O_RDONLY);
	drop_caches("2");
	close(fd);
	ktap_eq(cached("/mnt/b", "same.2"), pages_of(SAME), "reclaim of inodes leaves the pages");
	fd = open("/mnt/b/f.65536", O_RDONLY);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	munmap((void *)a, 65536);
	munmap((void *)b, 65536);
	fd = open("/mnt/b/f.300001", O_RDONLY);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	ktap_eq(cached("/mnt/a", "f.300001"), pages_of(300001), "DONTNEED does not take what another mount uses");
	close(fd);
	fd = open("/mnt/b/new", O_RDONLY);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	ktap_eq(cached("/mnt/b", "new"), 0, "DONTNEED takes what nobody else uses");

	fd = open("/mnt/a/f.65536", O_RDONLY | O_DIRECT);
	ktap_ok(ktap_is(fd, >=, 0) && ktap_is(read(fd, buffer, 4096), ==, 4096), "O_DIRECT on a plain file");
	close(fd);
	fd = open("/mnt/b/f.65536", O_RDONLY | O_DIRECT);
	ktap_fails(fd < 0, EINVAL, "O_DIRECT on a compressed file is refused, as without sharing");

	share("chunk", "/mnt/c", "another");
	ktap_eq(cached("/mnt/c", "f.65536"), 0, "another domain shares nothing");
	other = map("/mnt/c/f.65536", 65536);
	a = map("/mnt/a/f.65536", 65536);
	ktap_ok(a && other && ktap_is(a[0], ==, other[0]) &&
		ktap_is(page_frame(a), !=, page_frame(other)), "and maps pages of its own");
	munmap((void *)a, 65536);
	munmap((void *)other, 65536);
	umount("/mnt/c");
}

/* Whoever goes first, the rest reads on; both images are mounted. */
static void leaving(void)
{
	char buffer[4096];
	int fd;

	fd = open("/mnt/b/f.3000000", O_RDONLY);
	drop_caches("3");
	ktap_ok(!umount("/mnt/a"), "the provider is unmounted");
	ktap_ok(ktap_is(pread(fd, buffer, 4096, 2990000), ==, 4096) &&
		sums_ok("/mnt/b"), "the other one serves itself");
	share("base", "/mnt/a", "d");
	ktap_ok(sums_ok("/mnt/a"), "and the first one comes back");
	close(fd);
	ktap_ok(!umount("/mnt/b"), "unmount the second one (%s)", strerror(errno));
	ktap_ok(sums_ok("/mnt/a"), "content of the first one");
	ktap_ok(!umount("/mnt/a"), "unmount the first one (%s)", strerror(errno));
	drop_caches("3");
	share_settled(10);
	ktap_eq(shared_inodes(), 0, "no shared inode is left");
	ktap_ok(ktap_is(share_counter(NULL, "attached"), ==, 0) &&
		ktap_is(share_counter(NULL, "cached_bytes"), ==, 0) &&
		ktap_is(share_counter(NULL, "saved_bytes"), ==, 0), "and nothing is counted as cached");
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
	ktap_ok(ktap_is(good, >=, 0) && ktap_is(bad, >=, 0) &&
		ktap_is(good, !=, bad), "the forged file differs");

	drop_caches("3");
	share("base", "/mnt/a", "d");
	share("forged", "/mnt/b", "d");
	young = map("/mnt/b/f.65536", 65536);
	ktap_eq(young[0], bad, "a forged file alone has its own content");
	ktap_eq(first("/mnt/a", "f.65536"), good, "an older mount never reads it");
	ktap_ok(ktap_is(young[0], ==, bad) && ktap_is(first("/mnt/b", "f.65536"), ==, bad),
		"the younger one keeps what it has open");
	munmap((void *)young, 65536);
	ktap_eq(first("/mnt/b", "f.65536"), good, "opened anew, it reads what the older one has");
	ktap_ok(sums_ok("/mnt/a"), "content of the older mount");
	drop_caches("3");
	ktap_eq(first("/mnt/b", "f.65536"), bad, "reclaimed, and opened by the younger one alone, it has its own content");
	ktap_ok(sums_ok("/mnt/a"), "content of the older mount, once more");
	umount("/mnt/a");
	umount("/mnt/b");

	share("base", "/mnt/a", "d");
	share("size", "/mnt/b", "d");
	sums_ok("/mnt/a");
	ktap_eq(cached("/mnt/b", "f.65536"), 0, "equal fingerprints and other sizes are not shared");
	ktap_eq(cached("/mnt/b", "f.4096"), 1, "the other files of that image are");
	ktap_ok(sums_ok("/mnt/b") && sums_ok("/mnt/a"), "content of both");
	umount("/mnt/a");
	umount("/mnt/b");
}

static void failure(void)
{
	drop_caches("3");
	share("cut", "/mnt/a", "d");
	ktap_ok(!sums_ok("/mnt/a"), "an image with an incomplete device fails alone");
	ktap_ok(ktap_is(counter_of("/mnt/a", "failed"), >, 0), "it is counted");
	share("next", "/mnt/b", "d");
	ktap_ok(sums_ok("/mnt/b"), "an image that shares with it does not");
	drop_caches("3");
	ktap_ok(sums_ok("/mnt/b"), "nor after a drop of caches");
	ktap_ok(!sums_ok("/mnt/a"), "the incomplete one reads nothing of its younger sibling");
	ktap_ok(sums_ok("/mnt/b"), "which has it still");
	umount("/mnt/b");
	drop_caches("3");
	ktap_ok(!sums_ok("/mnt/a"), "without it, it fails, too");
	umount("/mnt/a");
}

int main(void)
{
	ktap_begin();
	mkdir("/set", 0755);
	ktap_ok(!mount("/dev/harness/blk0", "/set", "erofs", MS_RDONLY, NULL),
		"mount the image that holds the images");
	sharing();
	leaving();
	layouts();
	trust();
	failure();
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

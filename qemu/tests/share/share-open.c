// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: an open(2) by anybody changes no page that others use
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE BLK_DEV_LOOP
 * image: base share base
 * image: lz4 share base -zlz4 -C65536
 * image: chunk share base --chunksize=4096
 * image: set share-set
 * device: blk:base
 * device: blk:lz4
 * device: blk:set
 * device: blk:chunk
 * timeout: 180
 *
 * It also measures how many copies orders of opens leave, by eight images that
 * overlap.
 */
#include "ktap.h"
#include "loop.h"
#include "pages.h"
#include "share.h"

#define LARGE		"f.3000000"
#define LARGE_BYTES	3000000
#define MEDIUM		"f.300001"
#define MEDIUM_BYTES	300001
#define PAGE		4096
#define OPENS		1000

static const char old_disk[] = "/dev/harness/blk0", young_disk[] = "/dev/harness/blk1";
static char good[LARGE_BYTES], got[LARGE_BYTES];

/* sum of the page frames of a mapping: it changes if one of them does */
static uint64_t frames(volatile char *p, size_t size)
{
	uint64_t sum = 0;

	for (size_t at = 0; at < size; at += 16 * PAGE)
		sum = sum * 31 + page_frame(p + at);
	return sum;
}

static void others_pages(void)
{
	long long young, old, was;
	volatile char *locked, *mapped;
	uint64_t f[2];
	int fd;

	ktap_ok(share_mount(old_disk, "/a", NULL) && share_mount(young_disk, "/b", NULL), "mount an older and a younger image");
	ktap_ok(ktap_is(share_read("/b", LARGE, got, LARGE_BYTES), ==, LARGE_BYTES) &&
		!memcmp(got, good, LARGE_BYTES),
		"the younger one reads a large file");
	locked = share_map("/b", LARGE, LARGE_BYTES);
	mapped = share_map("/b", MEDIUM, MEDIUM_BYTES);
	ktap_ok(!mlock((void *)locked, LARGE_BYTES) && !memcmp((char *)mapped, good, MEDIUM_BYTES),
		"it has it locked, and another one mapped");
	fd = share_open("/b", LARGE);
	f[0] = frames(locked, LARGE_BYTES);
	f[1] = frames(mapped, MEDIUM_BYTES);
	was = young = share_disk_reads(young_disk);

	for (int i = 0; i < 2; i++)
		share_read("/a", i ? MEDIUM : LARGE, got, LARGE_BYTES);
	ktap_ok(resident(locked, LARGE_BYTES) == pages_of(LARGE_BYTES), "the older one opens it: all that is locked stays (got %d pages)",
		resident(locked, LARGE_BYTES));
	ktap_ok(resident(mapped, MEDIUM_BYTES) == pages_of(MEDIUM_BYTES), "and all that is mapped (got %d pages)",
		resident(mapped, MEDIUM_BYTES));
	ktap_ok(ktap_is(f[0], ==, frames(locked, LARGE_BYTES)) && ktap_is(f[1], ==, frames(mapped, MEDIUM_BYTES)),
		"they are the same pages");
	ktap_ok(ktap_is(pread(fd, got, LARGE_BYTES, 0), ==, LARGE_BYTES) && !memcmp(got, good, LARGE_BYTES),
		"the younger one reads on");
	ktap_ok(share_disk_reads(young_disk) == young, "that needs nothing of its disk (got %lld bytes, want 0)",
		share_disk_reads(young_disk) - young);

	share_read("/a", LARGE, got, LARGE_BYTES);
	old = share_disk_reads(old_disk);
	young = share_disk_reads(young_disk);
	for (int i = 0; i < OPENS; i++) {
		close(share_open("/a", i & 1 ? LARGE : MEDIUM));
		if (pread(fd, got, PAGE, (off_t)i * PAGE % LARGE_BYTES) < 1)
			ktap_note("read %d failed", i);
	}
	ktap_ok(share_disk_reads(young_disk) == young && share_disk_reads(old_disk) == old,
		"%d opens are no disk reads (got %lld bytes of the younger disk, %lld of the older, want 0)", OPENS,
		share_disk_reads(young_disk) - young, share_disk_reads(old_disk) - old);
	ktap_ok(resident(locked, LARGE_BYTES) == pages_of(LARGE_BYTES) && resident(mapped, MEDIUM_BYTES) == pages_of(MEDIUM_BYTES) &&
		f[0] == frames(locked, LARGE_BYTES) && f[1] == frames(mapped, MEDIUM_BYTES), "nor do they change a page");

	/* reclaim of the older one's inodes, and opening them anew, is not different */
	young = share_disk_reads(young_disk);
	for (int i = 0; i < 20; i++) {
		drop_caches("2");
		close(share_open("/a", LARGE));
		close(share_open("/a", MEDIUM));
		if (pread(fd, got, LARGE_BYTES, 0) != LARGE_BYTES)
			ktap_note("read %d failed", i);
	}
	ktap_ok(share_disk_reads(young_disk) == young, "nor with its inodes reclaimed (got %lld bytes, want 0)",
		share_disk_reads(young_disk) - young);
	ktap_ok(ktap_is(f[0], ==, frames(locked, LARGE_BYTES)), "they are the same pages");
	ktap_note("the younger disk has read %lld bytes since the older one opened the file", share_disk_reads(young_disk) - was);

	munmap((void *)locked, LARGE_BYTES);
	munmap((void *)mapped, MEDIUM_BYTES);
	close(fd);
	share_read("/b", LARGE, got, LARGE_BYTES);
	ktap_ok(ktap_is(share_disk_reads(young_disk), ==, young),
		"opened with nobody else there, it joins the older one's copy");
	locked = share_map("/a", LARGE, LARGE_BYTES);
	mapped = share_map("/b", LARGE, LARGE_BYTES);
	ktap_ok(ktap_is(*locked, ==, *mapped) && page_frame(locked) &&
		ktap_is(page_frame(locked), ==, page_frame(mapped)), "both map one page");
	munmap((void *)locked, LARGE_BYTES);
	munmap((void *)mapped, LARGE_BYTES);
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
}

/* Who provides stays the one who does, also if there is something better for its own mount by now. */
static void same_provider(void)
{
	long long reads;
	int b, c;

	ktap_ok(share_mount(old_disk, "/a", NULL) && share_mount(young_disk, "/b", NULL) &&
		share_mount("/dev/harness/blk3", "/c", NULL), "mount three");
	b = share_open("/b", LARGE);
	c = share_open("/c", LARGE);
	ktap_ok(ktap_is(pread(c, got, PAGE, 0), ==, PAGE) && !memcmp(got, good, PAGE),
		"the youngest reads what the second one has");
	close(share_open("/a", LARGE));
	close(b);
	b = share_open("/b", LARGE);
	reads = share_disk_reads(young_disk);
	ktap_ok(ktap_is(pread(c, got, PAGE, 2500000), ==, PAGE) && !memcmp(got, good + 2500000, PAGE),
		"when the second one joins the oldest, the youngest goes on reading what it had");
	ktap_ok(share_counter(NULL, "provider_switches") == 0, "nobody else provides (got %lld switches, want 0)",
		share_counter(NULL, "provider_switches"));
	ktap_ok(ktap_is(share_disk_reads(young_disk), >, reads), "it comes from the same disk");
	close(b);
	close(c);
	ktap_ok(!umount("/c") && !umount("/b") && !umount("/a"), "unmount");
}

/* -- orders of opens -- */

#define MOUNTS	8

static const char *const images[MOUNTS] = {
	"base", "block512", "inline1k", "chunk", "lz4", "lzma", "deflate", "zstd",
};
static const char *const names[] = {
	"f.1", "f.511", "f.1024", "f.4095", "f.4096", "f.4097", "f.65536", MEDIUM, LARGE, "same.1", "same.2", "same.3",
};
#define NAMES	(int)(sizeof(names) / sizeof(*names))

static bool mount_all(void)
{
	char device[32], path[64], dir[8];
	bool ok = true;
	int loop;

	for (int i = 0; i < MOUNTS; i++) {
		snprintf(path, sizeof(path), "/set/%s", images[i]);
		snprintf(dir, sizeof(dir), "/m%d", i);
		loop = loop_attach(path, device);
		ok &= share_mount(device, dir, NULL);
		close(loop);
	}
	return ok;
}

static bool unmount_all(void)
{
	bool ok = true;
	char dir[8];

	for (int i = 0; i < MOUNTS; i++) {
		snprintf(dir, sizeof(dir), "/m%d", i);
		ok &= !umount(dir);
	}
	return ok;
}

/*
 * Read a file in all mounts. @order: 'm'ounts', 'r'everse, or '?' random.
 * @fds: gets the open files.  Return: whether all had the same.
 */
static bool open_file(const char *name, char order, int *fds)
{
	int turn[MOUNTS], swap, j;
	ssize_t first = -1, n;
	char dir[8];
	bool ok = true;

	for (int i = 0; i < MOUNTS; i++)
		turn[i] = order == 'r' ? MOUNTS - 1 - i : i;
	for (int i = MOUNTS - 1; i > 0 && order == '?'; i--) {
		j = rand() % (i + 1);
		swap = turn[i];
		turn[i] = turn[j];
		turn[j] = swap;
	}
	for (int i = 0; i < MOUNTS; i++) {
		snprintf(dir, sizeof(dir), "/m%d", turn[i]);
		fds[i] = share_open(dir, name);
		n = pread(fds[i], got, LARGE_BYTES, 0);
		first = first < 0 ? n : first;
		/* those that are called "same" are f.65536 and f.4095, three times */
		ok &= n == first && !memcmp(got, good, n < 65536 || *name == 'f' ? n : 65536);
	}
	return ok;
}

/* What is cached when files have been opened in this order, and stay open. */
static long long measure(char order, bool *right, long long *again)
{
	int fds[NAMES][MOUNTS];
	long long bytes;

	*right = mount_all();
	for (int i = 0; i < NAMES; i++)
		*right &= open_file(names[i], order, fds[i]);
	bytes = share_counter(NULL, "cached_bytes");
	for (int i = 0; i < NAMES * MOUNTS; i++)
		close(fds[i / MOUNTS][i % MOUNTS]);
	for (int i = 0; i < NAMES; i++) {
		*right &= open_file(names[i], 'r', fds[i]);
		for (int j = 0; j < MOUNTS; j++)
			close(fds[i][j]);
	}
	usleep(300000);
	*again = share_counter(NULL, "cached_bytes");
	*right &= sums_ok("/m0") && sums_ok("/m7");
	*right &= unmount_all();
	return bytes;
}

static void orders(void)
{
	static const struct { char order; const char *name; double least, most; } rows[] = {
		{ 'm', "as mounted", 1, 1 }, { '?', "at random", 1.5, 6 }, { 'r', "in reverse", 7.5, 8 },
	};
	long long one = 0, bytes[3], again[3];
	bool right;

	ktap_ok(share_plain("/dev/harness/blk2", "/set"), "mount the image that holds the images");
	for (int i = 0; i < 3; i++) {
		bytes[i] = measure(rows[i].order, &right, &again[i]);
		one = i ? one : bytes[i];
		ktap_ok(right, "opened %s: content", rows[i].name);
		ktap_ok(bytes[i] >= rows[i].least * one && bytes[i] <= rows[i].most * one,
			"opened %s: %lld bytes are cached, %.2f copies (want %.1f to %.1f)", rows[i].name, bytes[i],
			(double)bytes[i] / one, rows[i].least, rows[i].most);
		ktap_ok(again[i] == one, "opened %s, closed and opened again: one copy (got %lld bytes, want %lld)", rows[i].name,
			again[i], one);
	}
	ktap_note("| files of %d images opened | copies | bytes | when opened again |", MOUNTS);
	ktap_note("| --- | --- | --- | --- |");
	for (int i = 0; i < 3; i++)
		ktap_note("| %s | %.2f | %lld | %.2f |", rows[i].name, (double)bytes[i] / one, bytes[i],
			  (double)again[i] / one);
	umount("/set");
}

int main(void)
{
	ktap_begin();
	ktap_ok(share_plain(old_disk, "/plain") && share_read("/plain", LARGE, good, LARGE_BYTES) == LARGE_BYTES &&
		!umount("/plain"), "learn what files have");
	others_pages();
	same_provider();
	orders();
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

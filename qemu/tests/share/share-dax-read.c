// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: read(2) on a mount with dax=always and sharing gives holes as zeroes, and reads compressed files ahead as without
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_RAMDAX FS_DAX
 * image: holes share-holes
 * image: lz4 share base -zlz4 -C65536
 * device: pmem:holes
 * device: pmem:lz4
 * device: blk:lz4
 */
#include <sys/resource.h>

#include "ktap.h"
#include "share.h"

#define BYTES	1000000
#define LARGE	"f.3000000"
#define LARGE_BYTES	3000000
#define TURNS	6
#define PAGE	4096

static const char holes[] = "/dev/harness/pmem0";
static const char *const names[] = { "head", "tail", "all", "both" };
static char good[4][BYTES], got[LARGE_BYTES];

/* Read into memory that nobody has touched. Return: bytes; *same: are they right? */
static ssize_t read_fresh(int n, off_t at, size_t size, bool *same)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = share_open("/h", names[n]);
	ssize_t bytes = pread(fd, p, size, at);

	*same = bytes >= 0 && !memcmp(p, good[n] + at, bytes);
	munmap(p, size);
	close(fd);
	return bytes;
}

static void read_holes(void)
{
	static const struct { off_t at; size_t size; } places[] = {
		{ 0, PAGE }, { 0, 1 }, { 0, BYTES }, { 1234, 500000 }, { 195 * PAGE - 100, 200 }, { 990000, 20000 },
		{ 396 * 1024, 2 * PAGE },
	};
	ssize_t page = getpagesize();
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd;

	ktap_ok(!mount(holes, "/h", "erofs", MS_RDONLY, "dax=always"), "mount sparse files by DAX");
	for (int i = 0; i < 4; i++)
		if (share_read("/h", names[i], good[i], BYTES) != BYTES)
			ktap_note("cannot read %s", names[i]);
	ktap_ok(sums_ok("/h") && !umount("/h"), "learn what they have");
	ktap_ok(share_mount(holes, "/h", "dax=always"), "mount them by DAX, sharing");
	for (int i = 0; i < 4; i++)
		for (size_t j = 0; j < sizeof(places) / sizeof(*places); j++) {
			off_t at = places[j].at;
			ssize_t want = places[j].size < (size_t)(BYTES - at) ? places[j].size : (size_t)(BYTES - at), n;
			bool same;

			n = read_fresh(i, at, places[j].size, &same);
			ktap_ok(n == want && same, "%s: %zu bytes at %lld, into memory that was not touched (got %zd%s, want %zd)",
				names[i], places[j].size, (long long)at, n, same ? "" : ", wrong ones", want);
		}
	ktap_ok(sums_ok("/h"), "content");
	munmap(p + page, page);
	fd = share_open("/h", "all");
	ktap_ok(ktap_is(pread(fd, p, 2 * page, 0), ==, page), "a hole is read as far as there is memory");
	munmap(p, page);
	ktap_fails(pread(fd, p, 2 * page, 0) < 0, EFAULT, "and not without any");
	close(fd);
	ktap_ok(!umount("/h"), "unmount");
}

/* how often the process has waited */
static long waits(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

/*
 * Read a compressed file that is not cached, some times.
 * @least: gets how often the reader waited.  Return: milliseconds; the best of all for both
 */
static double cold_read(const char *device, const char *options, long *least)
{
	double best = 1e9, start, took;
	long waited;

	*least = LONG_MAX;

	if (mount(device, "/h", "erofs", MS_RDONLY, options))
		ktap_note("mount %s: %s", options, strerror(errno));
	for (int i = 0; i < TURNS; i++) {
		drop_caches("1");
		start = seconds_now();
		waited = waits();
		if (share_read("/h", LARGE, got, LARGE_BYTES) != LARGE_BYTES)
			ktap_note("%s: cannot read: %s", options, strerror(errno));
		took = (seconds_now() - start) * 1000;
		waited = waits() - waited;
		best = took < best ? took : best;
		*least = waited < *least ? waited : *least;
	}
	umount("/h");
	return best;
}

int main(void)
{
	static const struct { const char *device, *dax, *name; } rows[] = {
		{ "/dev/harness/pmem1", "dax=always", "on memory" }, { "/dev/harness/blk0", "dax=never", "on a disk" },
	};
	double with, without;
	char options[64];
	long n, m;

	ktap_begin();
	mkdir("/h", 0755);
	read_holes();
	for (int i = 0; i < 2; i++) {
		snprintf(options, sizeof(options), "%s,inode_share,domain_id=d", rows[i].dax);
		without = cold_read(rows[i].device, rows[i].dax, &n);
		with = cold_read(rows[i].device, options, &m);
		/* page by page it would be 733 times, in windows of 128 KiB it is some dozens; a busy host says nothing about time */
		ktap_ok(m < n + 150, "%s, a compressed file is read ahead with sharing as without (got %ld waits, without %ld; %.2f ms, without %.2f)",
			rows[i].name, m, n, with, without);
	}
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: nothing is read through a mount whose disk was unplugged, whoever else has the file
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base
 * image: forged share forged
 * image: lz4 share forged -zlz4 -C65536
 * device: blk:base
 * device: blk:forged
 * device: blk:lz4
 * cpus: 2
 * timeout: 90
 *
 * The older image is the true one; the younger two have other content under the same
 * fingerprints, so each byte tells where it came from.
 */
#include <setjmp.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "ktap.h"
#include "share.h"

#define CACHED		"f.65536"	/* all of it, when the disk goes */
#define CACHED_BYTES	65536
#define LARGE		"f.3000000"
#define LARGE_BYTES	3000000
#define HEAD		65536	/* of LARGE, is cached */
#define FAR		2000000	/* in LARGE, is not */
#define PAGE		4096
#define HUGE		(2UL << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

static char good[LARGE_BYTES], bad[LARGE_BYTES], got[LARGE_BYTES];
static sigjmp_buf bus;

static void on_bus(int sig)
{
	siglongjmp(bus, sig);
}

/* what is there: 'g'ood, 'b'ad, '?' */
static char kind(const char *p, size_t at, size_t size)
{
	return !memcmp(p, good + at, size) ? 'g' : !memcmp(p, bad + at, size) ? 'b' : '?';
}

static char read_kind(int fd, size_t at, int flags)
{
	struct iovec iov = { got, PAGE };
	ssize_t n;

	memset(got, 0, PAGE);
	n = preadv2(fd, &iov, 1, at, flags);
	return n < 0 ? (errno == EIO ? 'e' : 'x') : n != PAGE ? '?' : kind(got, at, PAGE);
}

static char fault_kind(volatile char *p, size_t at)
{
	if (sigsetjmp(bus, 1))
		return 'e';
	memcpy(got, (char *)p + at, PAGE);
	return kind(got, at, PAGE);
}

static char splice_kind(int fd, size_t at)
{
	off_t offset = at;
	int ends[2];
	ssize_t n;
	char k;

	if (pipe(ends))
		return 'x';
	n = splice(fd, &offset, ends[1], NULL, PAGE, 0);
	k = n < 0 ? (errno == EIO ? 'e' : 'x') : read(ends[0], got, PAGE) == PAGE ? kind(got, at, PAGE) : '?';
	close(ends[0]);
	close(ends[1]);
	return k;
}

static char send_kind(int fd, size_t at)
{
	int out = memfd_create("out", 0);
	off_t offset = at;
	ssize_t n = sendfile(out, fd, &offset, PAGE);
	char k = n < 0 ? (errno == EIO ? 'e' : 'x') : pread(out, got, PAGE, 0) == PAGE ? kind(got, at, PAGE) : '?';

	close(out);
	return k;
}

/* by the kernel's own eyes, for who looks into another process's memory */
static char peek_kind(volatile char *p, size_t at)
{
	int fd = open("/proc/self/mem", O_RDONLY);
	ssize_t n = pread(fd, got, PAGE, (off_t)(uintptr_t)(p + at));
	char k = n < 0 ? (errno == EIO ? 'e' : 'x') : n != PAGE ? '?' : kind(got, at, PAGE);

	close(fd);
	return k;
}

static char populate_kind(volatile char *p, size_t at)
{
	unsigned char vec = 0;

	if (madvise((void *)(p + at), PAGE, MADV_POPULATE_READ))
		return 'e';
	mincore((void *)(p + at), PAGE, &vec);
	return vec & 1 ? kind((char *)p + at, at, PAGE) : '?';
}

/* a mapping that huge pages fit into; NULL if that fails */
static char *map_huge(int fd)
{
	char *room = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *place = (char *)(((uintptr_t)room + HUGE - 1) & -HUGE);

	if (mmap(place, HUGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0) != place)
		return NULL;
	return place;
}

/* by a huge page that is made of what is there, without a fault */
static char collapse_kind(char *p, size_t at)
{
	int tries = 0;

	/* pages that are being read can be had later, see madvise(2) */
	while (madvise(p, HUGE, MADV_COLLAPSE)) {
		if (errno != EAGAIN || ++tries == 50)
			return errno == EINVAL ? 'e' : 'x';
		usleep(100000);
	}
	/* the first makes it, the second maps it */
	madvise(p, HUGE, MADV_COLLAPSE);
	return fault_kind(p, at);
}

static char open_kind(const char *dir, const char *name)
{
	int fd = share_open(dir, name), error = errno;

	close(fd);
	return fd >= 0 ? 'o' : error == EIO ? 'e' : 'x';
}

/* All roads to the bytes at @at. @p: a mapping that has never touched them */
static void all_fail(int fd, volatile char *p, size_t at, const char *what)
{
	char r[8];

	r[0] = read_kind(fd, at, 0);
	/* which is an error of its own if the data are not there, or for all files of a filesystem */
	r[1] = read_kind(fd, at, RWF_NOWAIT);
	r[1] = r[1] == 'x' ? 'e' : r[1];
	r[2] = splice_kind(fd, at);
	r[3] = send_kind(fd, at);
	r[4] = peek_kind(p, at);
	r[5] = populate_kind(p, at);
	r[6] = fault_kind(p, at);
	r[7] = 0;
	ktap_ok(!strcmp(r, "eeeeeee"),
		"%s: read, read without waiting, splice, sendfile, /proc/self/mem, populate, fault fail (got %s, want eeeeeee)",
		what, r);
}

static void younger_reads(const char *dir, int cached, int large, bool dropped)
{
	const char *want = dropped ? "bbbo" : "ggbo";
	char r[5];

	r[0] = read_kind(cached, 8 * PAGE, 0);
	r[1] = read_kind(large, 0, 0);
	r[2] = read_kind(large, FAR, 0);
	r[3] = open_kind(dir, "f.4096");
	r[4] = 0;
	ktap_ok(!strcmp(r, want), "%s goes on: what is cached stays, the rest is its own (got %s, want %s)", dir, r, want);
}

int main(void)
{
	const char *old = "/dev/harness/blk0", *young[] = { "/dev/harness/blk1", "/dev/harness/blk2" };
	volatile char *p, *q, *touched;
	char *huge, k;
	int a, large, b[2], bl[2], fresh;
	double start;

	ktap_begin();
	signal(SIGBUS, on_bus);
	for (int i = 0; i < 2; i++)
		ktap_ok(share_plain(i ? young[0] : old, "/plain") &&
			share_read("/plain", LARGE, i ? bad : good, LARGE_BYTES) == LARGE_BYTES && !umount("/plain"),
			"learn what files have");
	ktap_ok(share_mount(old, "/a", NULL) && share_mount(young[0], "/b", NULL) && share_mount(young[1], "/c", NULL),
		"mount a true image, and two forged ones");
	share_read("/a", CACHED, got, CACHED_BYTES);
	a = share_open("/a", CACHED);
	large = share_open("/a", LARGE);
	fresh = share_open("/a", "f.300001");
	posix_fadvise(large, 0, 0, POSIX_FADV_RANDOM);
	if (pread(large, got, HEAD, 0) != HEAD)
		ktap_note("cannot read");
	for (int i = 0; i < 2; i++) {
		b[i] = share_open(i ? "/c" : "/b", CACHED);
		bl[i] = share_open(i ? "/c" : "/b", LARGE);
		posix_fadvise(bl[i], 0, 0, POSIX_FADV_RANDOM);
	}
	p = share_map("/a", CACHED, CACHED_BYTES);
	q = share_map("/a", LARGE, LARGE_BYTES);
	huge = map_huge(large);
	touched = share_map("/a", CACHED, CACHED_BYTES);
	madvise((void *)q, LARGE_BYTES, MADV_RANDOM);
	madvise((void *)touched, CACHED_BYTES, MADV_RANDOM);
	ktap_ok(ktap_is(fault_kind(touched, 0), ==, 'g') && ktap_is(peek_kind(touched, 0), ==, 'g'),
		"the true image provides, and who looks into the process sees it");

	start = seconds_now();
	ktap_ok(share_unplug(old), "unplug its disk (%s)", strerror(errno));
	ktap_ok(seconds_now() - start < 5, "that takes %.2f s", seconds_now() - start);
	usleep(300000);
	all_fail(a, p, 0, "cached before");
	all_fail(large, q, 0, "cached before, of a large file");
	all_fail(large, q, FAR, "not cached");
	younger_reads("/b", b[0], bl[0], false);
	younger_reads("/c", b[1], bl[1], false);
	/* now these are bytes of the younger mount */
	ktap_ok(ktap_is(read_kind(bl[0], FAR, 0), ==, 'b'), "the younger one provides");
	all_fail(large, q, FAR, "what the younger one has read");
	all_fail(large, q, FAR - PAGE, "beside that");
	k = huge ? collapse_kind(huge, FAR) : '0';
	ktap_ok(k == 'e', "nor by a huge page (got %c, want e)", k);
	ktap_ok(ktap_is(read_kind(fresh, 0, 0), ==, 'e'), "a file that only the dead mount has open");
	ktap_ok(open_kind("/a", CACHED) != 'o' && open_kind("/a", "f.8192") != 'o', "open(2) of files fails (got %c, %c)",
		open_kind("/a", CACHED), open_kind("/a", "f.8192"));
	/* pages that are mapped stay in the cache, and the dead mount's bytes in the mapping */
	munmap((void *)touched, CACHED_BYTES);
	drop_caches("1");
	ktap_ok(ktap_is(read_kind(b[1], 8 * PAGE, 0), ==, 'b') && ktap_is(read_kind(a, 8 * PAGE, 0), ==, 'e'),
		"once dropped, the younger ones read their own");
	all_fail(a, p, 8 * PAGE, "that, through the dead one");
	drop_caches("3");
	ktap_ok(ktap_is(read_kind(a, 0, 0), ==, 'e') && ktap_is(read_kind(large, FAR, 0), ==, 'e'),
		"the dead one fails");

	munmap((void *)p, CACHED_BYTES);
	munmap((void *)q, LARGE_BYTES);
	munmap(huge, HUGE);
	close(a);
	close(large);
	close(fresh);
	ktap_ok(share_within(1, share_umount, "/a", ""), "unmount it in less than a second");
	younger_reads("/b", b[0], bl[0], true);
	for (int i = 0; i < 2; i++) {
		close(b[i]);
		close(bl[i]);
	}
	drop_caches("1");
	ktap_ok(sums_ok("/b") && sums_ok("/c"), "content of the younger ones");
	ktap_ok(!umount("/b") && !umount("/c"), "unmount the younger ones");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

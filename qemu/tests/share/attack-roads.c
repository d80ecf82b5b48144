// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: nothing comes through a dead mount by io_uring, aio, vmsplice, /proc/self/mem, or copies of mappings
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE IO_URING PAGE_SIZE_4KB
 * image: base share base
 * image: forged share forged
 * device: blk:base
 * device: blk:forged
 * cpus: 2
 * timeout: 90
 * flavours: fast
 */
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "ktap.h"
#include "share.h"

#define LARGE		"f.3000000"
#define LARGE_BYTES	3000000
#define FAR		2000000UL
#define PAGE		4096
#define AT		(FAR & ~4095UL)

static char good[LARGE_BYTES], bad[LARGE_BYTES];
static char got[2 * PAGE] __attribute__((aligned(4096)));

static char kind(const char *p, size_t at, ssize_t n, ssize_t want)
{
	if (n < 0)
		return n == -EIO || n == -EFAULT ? 'e' : 'x';
	if (n != want)
		return 's';
	return !memcmp(p, good + at, want) ? 'g' : !memcmp(p, bad + at, want) ? 'b' : '?';
}

/* -- io_uring -- */
static int ring = -1;
static unsigned *sqtail, *sqmask, *sqarray, *cqhead, *cqtail, *cqmask;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;

static bool ring_make(void)
{
	struct io_uring_params p = { 0 };
	char *sq, *cq;

	ring = syscall(SYS_io_uring_setup, 8, &p);
	if (ring < 0)
		return false;
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(*cqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, p.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	sqtail = (void *)(sq + p.sq_off.tail);
	sqmask = (void *)(sq + p.sq_off.ring_mask);
	sqarray = (void *)(sq + p.sq_off.array);
	cqhead = (void *)(cq + p.cq_off.head);
	cqtail = (void *)(cq + p.cq_off.tail);
	cqmask = (void *)(cq + p.cq_off.ring_mask);
	cqes = (void *)(cq + p.cq_off.cqes);
	return true;
}

static int ring_do(const struct io_uring_sqe *sqe)
{
	unsigned t = *sqtail, i = t & *sqmask;
	int res;

	sqes[i] = *sqe;
	sqarray[i] = i;
	__atomic_store_n(sqtail, t + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	while (__atomic_load_n(cqtail, __ATOMIC_ACQUIRE) == *cqhead)
		usleep(1000);
	res = cqes[*cqhead & *cqmask].res;
	__atomic_store_n(cqhead, *cqhead + 1, __ATOMIC_RELEASE);
	return res;
}

static char uring_kind(int fd, size_t at, int how)
{
	struct iovec iov = { got, sizeof(got) };
	struct io_uring_sqe sqe = { .opcode = how ? IORING_OP_READ_FIXED : IORING_OP_READ, .fd = fd,
		.off = at, .addr = (uintptr_t)got, .len = PAGE };
	static bool registered;

	if (how && !registered) {
		if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1))
			return 'r';
		registered = true;
	}
	memset(got, 0, PAGE);
	return kind(got, at, ring_do(&sqe), PAGE);
}

static char uring_splice_kind(int fd, size_t at)
{
	int ends[2];
	struct io_uring_sqe sqe = { .opcode = IORING_OP_SPLICE, .splice_fd_in = fd, .splice_off_in = at, .off = -1ULL, .len = PAGE };
	ssize_t n;
	char k;

	if (pipe(ends))
		return 'x';
	sqe.fd = ends[1];
	n = ring_do(&sqe);
	k = n < 0 ? (n == -EIO ? 'e' : 'x') : kind(got, at, read(ends[0], got, PAGE), PAGE);
	close(ends[0]);
	close(ends[1]);
	return k;
}

static char aio_kind(int fd, size_t at)
{
	static aio_context_t ctx;
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd, .aio_buf = (uintptr_t)got, .aio_nbytes = PAGE, .aio_offset = at }, *cbs = &cb;
	struct io_event ev;

	if (!ctx && syscall(SYS_io_setup, 4, &ctx))
		return 'n';
	memset(got, 0, PAGE);
	if (syscall(SYS_io_submit, ctx, 1, &cbs) != 1)
		return errno == EIO ? 'e' : 'x';
	if (syscall(SYS_io_getevents, ctx, 1, 1, &ev, NULL) != 1)
		return 'x';
	return kind(got, at, (long)ev.res, PAGE);
}

static char vmsplice_kind(volatile char *p, size_t at)
{
	struct iovec iov = { (void *)(p + at), PAGE };
	int ends[2];
	ssize_t n;
	char k;

	if (pipe(ends))
		return 'x';
	n = vmsplice(ends[1], &iov, 1, 0);
	k = n < 0 ? kind(got, at, -errno, PAGE) : kind(got, at, read(ends[0], got, PAGE), PAGE);
	close(ends[0]);
	close(ends[1]);
	return k;
}

static char mem_kind(volatile char *p, size_t at)
{
	int fd = open("/proc/self/mem", O_RDONLY);
	ssize_t n = pread(fd, got, PAGE, (off_t)(uintptr_t)(p + at));

	if (n < 0)
		n = -errno;
	close(fd);
	return n == -EIO ? 'e' : kind(got, at, n, PAGE);
}

static char write_kind(volatile char *p, size_t at)
{
	int out = memfd_create("o", 0);
	ssize_t n = write(out, (void *)(p + at), PAGE);
	char k = n < 0 ? kind(got, at, -errno, PAGE) : kind(got, at, pread(out, got, PAGE, 0), PAGE);

	close(out);
	return k;
}

static char send_kind(volatile char *p, size_t at)
{
	int s[2];
	ssize_t n;
	char k;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s))
		return 'x';
	n = send(s[0], (void *)(p + at), PAGE, 0);
	k = n < 0 ? kind(got, at, -errno, PAGE) : kind(got, at, recv(s[1], got, PAGE, MSG_WAITALL), PAGE);
	close(s[0]);
	close(s[1]);
	return k;
}

static char mremap_kind(int fd, size_t at)
{
	char *p = mmap(NULL, LARGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	char *q;
	char k;

	if (p == MAP_FAILED)
		return errno == EIO ? 'e' : 'x';
	q = mremap(p + at, 0, PAGE, MREMAP_MAYMOVE);
	k = q == MAP_FAILED ? 'x' : mem_kind(q - at, at);
	return k;
}

/* a mapping that was there, duplicated and moved */
static char dup_kind(volatile char *p, size_t at)
{
	char *q = mremap((void *)(p + at), 0, PAGE, MREMAP_MAYMOVE);
	char k = q == MAP_FAILED ? 'x' : mem_kind(q - at, at);

	munmap(q, PAGE);
	return k;
}

static void roads(int fd, volatile char *p, size_t at, const char *want, const char *what)
{
	char r[20];
	int i = 0;

	r[i++] = uring_kind(fd, at, 0);
	r[i++] = uring_kind(fd, at, 1);
	r[i++] = uring_splice_kind(fd, at);
	r[i++] = aio_kind(fd, at);
	r[i++] = vmsplice_kind(p, at);
	r[i++] = mem_kind(p, at);
	r[i++] = write_kind(p, at);
	r[i++] = send_kind(p, at);
	r[i++] = dup_kind(p, at);
	r[i++] = mremap_kind(fd, at);
	r[i] = 0;
	ktap_ok(!strcmp(r, want),
		"%s: uring, fixed, uring splice, aio, vmsplice, /proc/self/mem, write, send, mapping doubled, a new one (got %s, want %s)",
		what, r, want);
}

int main(void)
{
	volatile char *q, *before;
	int large, bl;
	char *cow;

	ktap_begin();
	ktap_ok(ring_make(), "a ring");
	for (int i = 0; i < 2; i++)
		ktap_ok(share_plain(i ? "/dev/harness/blk1" : "/dev/harness/blk0", "/plain") &&
			share_read("/plain", LARGE, i ? bad : good, LARGE_BYTES) == LARGE_BYTES && !umount("/plain"),
			"learn what files have");
	ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL) && share_mount("/dev/harness/blk1", "/b", NULL), "mount");
	large = share_open("/a", LARGE);
	bl = share_open("/b", LARGE);
	posix_fadvise(large, 0, 0, POSIX_FADV_RANDOM);
	posix_fadvise(bl, 0, 0, POSIX_FADV_RANDOM);
	q = share_map("/a", LARGE, LARGE_BYTES);
	before = share_map("/a", LARGE, LARGE_BYTES);
	cow = mmap(NULL, LARGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, large, 0);
	madvise((void *)q, LARGE_BYTES, MADV_RANDOM);
	madvise((void *)before, LARGE_BYTES, MADV_RANDOM);
	roads(large, q, 0, "gggggggggg", "alive");
	/* registered buffers that are private mappings of the file: written, they are one's own */
	{
		struct iovec iov = { cow, PAGE };
		struct io_uring_sqe sqe = { .opcode = IORING_OP_READ_FIXED, .fd = bl, .off = AT, .addr = (uintptr_t)cow, .len = PAGE };
		int rc;

		syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
		rc = syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1);
		ktap_ok(!rc && ring_do(&sqe) == PAGE && !memcmp(cow, good + AT, PAGE), "read into a private mapping that is registered");
		ktap_ok(pread(large, got, PAGE, 0) == PAGE && !memcmp(got, good, PAGE) && !memcmp((char *)q, good, PAGE), "changes nobody's file");
		iov.iov_base = (void *)q;
		syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
		ktap_ok(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1) < 0, "a mapping that cannot be written is not registered (%s)", strerror(errno));
		iov.iov_base = got;
		iov.iov_len = sizeof(got);
		syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1);
		ktap_ok(syscall(SYS_remap_file_pages, q, PAGE, 0, 1, 0) < 0, "remap_file_pages (%s)", strerror(errno));
	}
	before[5 * PAGE];	/* the dead mount's own, and mapped */
	ktap_ok(share_unplug("/dev/harness/blk0"), "unplug");
	usleep(300000);
	drop_caches("1");
	ktap_ok(pread(bl, got, PAGE, AT) == PAGE, "the younger one reads");
	ktap_ok(pread(bl, got, PAGE, 70 * PAGE) == PAGE && !memcmp(got, bad + 70 * PAGE, PAGE), "and what it reads is its own");
	roads(large, q, 70 * PAGE, "eeeeeeeeee", "dead, cached by the younger one");
	roads(large, q, 90 * PAGE, "eeeeeeeeee", "dead, not cached");
	{
		struct io_uring_sqe sqe = { .opcode = IORING_OP_FADVISE, .fd = large, .off = 100 * PAGE, .len = 64 * PAGE, .fadvise_advice = POSIX_FADV_WILLNEED };
		long n = share_cached("/b", LARGE);

		ktap_ok(ring_do(&sqe) < 0, "IORING_OP_FADVISE");
		sqe = (struct io_uring_sqe){ .opcode = IORING_OP_MADVISE, .fd = -1, .addr = (uintptr_t)q + 100 * PAGE, .len = 64 * PAGE, .fadvise_advice = MADV_WILLNEED };
		ring_do(&sqe);
		sqe.fadvise_advice = MADV_PAGEOUT;
		ring_do(&sqe);
		sqe.fadvise_advice = MADV_POPULATE_READ;
		ring_do(&sqe);
		usleep(300000);
		ktap_eq(share_cached("/b", LARGE), n, "advice through a dead mount changes nothing");
		ktap_ok(mlock((void *)(q + 100 * PAGE), 64 * PAGE) < 0, "mlock (%s)", strerror(errno));
		ktap_eq(share_cached("/b", LARGE), n, "mlock through a dead mount changes nothing");
	}
	close(ring);
	munmap((void *)q, LARGE_BYTES);
	munmap((void *)before, LARGE_BYTES);
	munmap(cow, LARGE_BYTES);
	close(large);
	close(bl);
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: extents of compressed files that say anything at all do no harm
 * config: EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP
 * image: walk crafted special
 * device: blk:walk
 * cpus: 2
 * timeout: 120
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "dmabuf.h"
#include "ktap.h"
#include "share.h"
#include "system.h"

#define SUPER	1024
#define BLOCK	4096
#define MAX	(256 * BLOCK)
#define META	4
#define SECONDS	10

static unsigned char image[MAX];
static uint64_t state = 7919;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545F4914F6CDD1D;
}

static uint64_t some(uint64_t n)
{
	return rnd() % n;
}

static void put(void *p, uint64_t v, int n)
{
	memcpy(p, &v, n);
}

/* an inode of 64 bytes with extents */
static void make_file(unsigned char *inode, unsigned int ino)
{
	unsigned int recbits = some(4), recsz = 4 << recbits, count = 1 + some(40), at, lcb = some(3);
	uint64_t la = 0, end = 240 * BLOCK, pa = 16 * BLOCK, size = some(4) ? some(count * (BLOCK << lcb)) + 1 :
		some(1ULL << (12 + some(40))) + 1;
	unsigned char *h = inode + 64, *r;
	unsigned int advise = 1 | recbits << 1 | (some(3) ? 0 : 0x10) | (some(4) ? 0 : 0x20);

	memset(inode, 0, 2048);
	put(inode, 1 | 1 << 1, 2);		/* extended, full */
	put(inode + 4, 0100644, 2);
	put(inode + 8, size, 8);
	put(inode + 16, some(1000), 4);
	put(inode + 20, ino, 4);
	put(inode + 44, 1, 4);
	put(h, count, 4);
	put(h + 4, advise, 2);
	h[6] = 0;
	h[7] = lcb;
	at = (ino * 2048 + META * BLOCK + 64 + 8 + recsz - 1) / recsz * recsz;
	r = image + at;
	if (recsz == 4) {
		put(r, some(5) ? pa + some(BLOCK) * some(2) : -1ULL, 8);
		r += 8;
	}
	for (unsigned int i = 0; i < count && r + recsz < inode + 2048; i++, r += recsz) {
		uint32_t plen = some(8) ? 1 + some(some(2) ? BLOCK * 2 : 70000) : some(4) ? rnd() & 0x1fffff : rnd();

		if (some(2))
			plen = (plen + BLOCK - 1) / BLOCK * BLOCK;
		plen &= 0xfffffff;
		if (some(3))
			plen |= 1 << 28;
		if (!some(5))
			plen |= 1 << 27;
		if (!some(12))
			plen |= 15u << 28;
		put(r, plen, 4);
		if (recsz >= 8)
			put(r + 4, some(8) ? some(end) : rnd(), 4);
		if (recsz >= 16) {
			put(r + 8, some(8) ? 0 : rnd() >> some(64), 4);
			put(r + 12, some(12) ? la : rnd(), 4);
		}
		if (recsz >= 32)
			put(r + 16, some(12) ? la >> 32 : rnd(), 4);
		la += some(3) ? BLOCK * (1 + some(20)) : some(100000);
	}
}

static void use(const char *name)
{
	struct { struct fiemap map; struct fiemap_extent extent[64]; } ask = {
		.map = { .fm_length = FIEMAP_MAX_OFFSET, .fm_extent_count = 64 },
	};
	static char buffer[1 << 16];
	struct stat st;
	off_t at = 0;
	int fd = share_open("/mnt", name);
	char *p;

	if (fd < 0)
		return;
	fstat(fd, &st);
	ioctl(fd, FS_IOC_FIEMAP, &ask);
	for (int i = 0; i < 20 && at >= 0; i++)
		at = lseek(fd, at, i & 1 ? SEEK_HOLE : SEEK_DATA);
	for (int i = 0; i < 24; i++)
		pread(fd, buffer, 1 + some(sizeof(buffer)), i < 12 ? i * 20000 : (off_t)some(st.st_size));
	if (st.st_size > 0)
		pread(fd, buffer, sizeof(buffer), st.st_size > 3000 ? st.st_size - 3000 : 0);
	p = mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED) {
		madvise(p, 1 << 20, MADV_POPULATE_READ);
		munmap(p, 1 << 20);
	}
	close(fd);
}

static int once(const char *dir)
{
	int fd = open("/ram/image", O_CREAT | O_WRONLY | O_TRUNC, 0600);
	static const char *const opts[] = { NULL, "cache_strategy=disabled", "cache_strategy=readahead" };

	if (write(fd, image, MAX) != MAX || close(fd))
		return 1;
	if (mount("/ram/image", dir, "erofs", MS_RDONLY, opts[some(3)]))
		return errno == EUCLEAN ? 0 : 2;
	use("file");
	use("packed");
	use("file");
	if (some(2))
		drop_caches("3");
	use("packed");
	return umount(dir) ? 3 : 0;
}

int main(void)
{
	int disk = open("/dev/harness/blk0", O_RDONLY);
	off_t size = 64 * 1024;
	double start = seconds_now();
	static char raw[MAX];
	unsigned int rounds = 0;
	int err = 0;

	ktap_begin();
	ktap_ok(size <= MAX && dmabuf_fill(raw, disk, size), "read an image of %lld", (long long)size);
	mkdir("/ram", 0755);
	ktap_ok(!mount("ramfs", "/ram", "ramfs", 0, NULL), "mount ramfs");
	for (; seconds_now() - start < SECONDS && !err; rounds++) {
		uint64_t *names;

		memset(image, 0, sizeof(image));
		memcpy(image, raw, size);
		/* content: literals of LZ4 at the end of each block, or anything */
		for (int i = 16 * BLOCK; i < MAX; i += 8)
			put(image + i, some(2) ? rnd() : 0x1f41414141414141, 8);
		put(image + SUPER + 80, 4 | 1 | 0x20, 4);
		/* names in the root, which is not in the way: look for their nids */
		for (int i = META * BLOCK + 8 * BLOCK; i < size - 12; i += 4) {
			names = (uint64_t *)(image + i);
			if (image[i + 10] == 1 || image[i + 10] == 3) {
				put(names, image[i + 10] == 1 ? 2048 / 32 * 2 : 2048 / 32 * 3, 8);
				image[i + 10] = 1;
			}
		}
		put(image + SUPER + 96, 2048 / 32 * 3, 8);
		make_file(image + META * BLOCK + 2 * 2048, 2);
		make_file(image + META * BLOCK + 3 * 2048, 3);
		err = once("/mnt");
	}
	ktap_note("%u rounds", rounds);
	ktap_ok(!err, "all of them (%d, %s)", err, strerror(errno));
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

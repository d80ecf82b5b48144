// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: an image in a dma-buf is mounted by its descriptor, held once for many mounts, and cannot be written
 * config: EROFS_FS_DMABUF UDMABUF DMABUF_HEAPS_SYSTEM EROFS_FS_ZIP EROFS_FS_PAGE_CACHE_SHARE HUGETLBFS OVERLAY_FS PAGE_SIZE_4KB
 * image: tree tree -Enoinline_data
 * image: inline tree
 * image: chunks tree --chunksize=4096
 * image: ztree tree -zlz4 -Eztailpacking
 * image: fingers tree --fingerprint -Enoinline_data
 * device: blk:tree
 * device: blk:inline
 * device: blk:chunks
 * device: blk:ztree
 * device: blk:fingers
 * timeout: 120
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "dmabuf.h"
#include "ktap.h"
#include "share.h"
#include "sigbus.h"
#include "system.h"

#define PAGE	4096
#define MOUNTS	100
#define MIB	(1L << 20)

static off_t size;

enum kind { MEMFD, HUGE_MEMFD, HEAP, KINDS };

/* The image of disk @n in a dma-buf. */
static int make(int n, enum kind kind)
{
	char path[32];
	int disk, fd;

	snprintf(path, sizeof(path), "/dev/harness/blk%d", n);
	disk = open(path, O_RDONLY);
	size = dmabuf_image_size(disk);
	fd = kind == HEAP ? dmabuf_of_heap(disk, size) : dmabuf_of_memfd(disk, size, kind == HUGE_MEMFD ? MFD_HUGETLB : 0);
	close(disk);
	return fd;
}

static long free_kib(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long n = 0, sum = 0;

	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemFree: %ld", &n) == 1)
			sum = n;
	fclose(file);
	return sum;
}

static uint64_t sum_of(int fd)
{
	const unsigned char *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	uint64_t sum = 0;

	if (p == MAP_FAILED)
		return 0;
	for (off_t i = 0; i < size; i++)
		sum = sum * 31 + p[i];
	munmap((void *)p, size);
	return sum;
}

static bool same_mapping(const char *path, int flags)
{
	static char want[1 << 16];
	int fd = open(path, O_RDONLY);
	char *p = mmap(NULL, sizeof(want), PROT_READ, flags, fd, 0);
	bool same = pread(fd, want, sizeof(want), 0) == sizeof(want) && p != MAP_FAILED &&
		!memcmp(p, want, sizeof(want));

	munmap(p, sizeof(want));
	close(fd);
	return same;
}

/* Content by each way that a file is read in, of the mount at /mnt. */
static void check_content(const char *what)
{
	void *buffer = NULL;
	int fd;

	ktap_ok(sums_ok("/mnt"), "%s: all files by read(2)", what);
	ktap_ok(ktap_is(entries_of("/mnt/many"), ==, 602), "%s: a directory of several blocks", what);
	ktap_ok(same_mapping("/mnt/data.65536", MAP_SHARED) && same_mapping("/mnt/data.65536", MAP_PRIVATE),
		"%s: a file that is mapped", what);
	ktap_ok(!system("cp /mnt/data.1000003 /tmp/copy && cmp /tmp/copy /mnt/data.1000003"), "%s: a copy", what);
	ktap_ok(!system("/mnt/bin/busybox true && /mnt/bin/script > /dev/null"), "%s: programs run", what);
	fd = open("/mnt/data.1000003", O_RDONLY | O_DIRECT);
	if (fd < 0)	/* compressed */
		return;
	ktap_ok(!posix_memalign(&buffer, PAGE, MIB) && ktap_is(read(fd, buffer, MIB), ==, 1000003),
		"%s: direct I/O", what);
	close(fd);
	free(buffer);
}

static void check_kinds(void)
{
	static const char *const names[] = { "plain", "with inline tails", "of chunks", "compressed" };
	static const char *const kinds[] = { "memfd", "memfd with huge pages", "system heap" };
	char what[64];
	uint64_t sum;
	int fd;

	for (int n = 0; n < 4 * KINDS; n++) {
		snprintf(what, sizeof(what), "%s, %s", names[n / KINDS], kinds[n % KINDS]);
		fd = make(n / KINDS, n % KINDS);
		if (!ktap_ok(fd >= 0, "%s: make a dma-buf", what))
			continue;
		sum = sum_of(fd);
		if (ktap_ok(dmabuf_mount(fd, "/mnt", NULL), "%s: mount it", what)) {
			check_content(what);
			ktap_ok(!umount("/mnt"), "%s: unmount", what);
		}
		ktap_ok(sum && sum_of(fd) == sum, "%s: the image is what it was", what);
		close(fd);
	}
}

static void check_mappings(int fd)
{
	char *own = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *a, *b, *p, c;
	off_t place;
	int file, status;

	ktap_ok(dmabuf_mount(fd, "/mnt", NULL) && dmabuf_mount(fd, "/b", NULL), "two mounts of one dma-buf");
	a = (char *)share_map("/mnt", "data.65536", 65536);
	b = (char *)share_map("/b", "data.65536", 65536);
	file = open("/b/data.65536", O_RDONLY);
	place = place_of("/mnt/data.65536");
	if (!ktap_ok(a && b && own != MAP_FAILED && place > 0 && place + 65536 <= size, "map the same file in both"))
		return;
	/* nothing tells the frames of such mappings, but whoever has the dma-buf can change them */
	ktap_ok(a[5] == b[5] && a[5] == own[place + 5], "the same byte in both and in the dma-buf");
	own[place + 5] ^= 1;
	ktap_ok(a[5] == own[place + 5] && b[5] == a[5] && pread(file, &c, 1, 5) == 1 && c == a[5],
		"which changes everywhere at once: it is there only once");
	own[place + 5] ^= 1;
	munmap(own, size);
	close(file);
	ktap_ok(!share_cached("/mnt", "data.65536") && !share_cached("/mnt", "data.1000003"),
		"nothing of what was read or mapped is in page cache");
	ktap_fails(mprotect(a, PAGE, PROT_READ | PROT_WRITE), EACCES, "a mapping cannot be made writable");
	ktap_fails(mremap(a, 65536, 65536 + PAGE, MREMAP_MAYMOVE) == MAP_FAILED, EFAULT, "nor grow into another file");
	ktap_fails(mremap(a, 0, 65536, MREMAP_MAYMOVE) == MAP_FAILED, EFAULT, "nor be doubled");
	ktap_fails(mprotect(a, PAGE, PROT_READ | PROT_EXEC), EACCES, "nor be made executable");
	ktap_ok(mremap(a, 65536, PAGE, 0) == a, "but shrink");
	if (!fork())
		_exit(a[0] != b[0]);
	ktap_ok(wait(&status) > 0 && !status, "and be had by a child");
	munmap(a, PAGE);

	file = open("/mnt/data.65536", O_RDONLY);
	ktap_fails(open("/mnt/data.65536", O_RDWR) < 0, EROFS, "no file can be opened for writing");
	ktap_fails(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED, EACCES, "none mapped for it");
	p = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
	ktap_ok(p != MAP_FAILED && p[5] == b[5], "for programs it is mapped from page cache");
	munmap(p, PAGE);
	munmap(b, 65536);
	p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	memset(p, 'x', 65536);
	ktap_ok(same_mapping("/mnt/data.65536", MAP_SHARED), "a private mapping can be written, for itself");
	munmap(p, 65536);

	/* the last page has room, in which there are zeroes; the one behind it is not the file's */
	close(file);
	file = open("/mnt/data.8191", O_RDONLY);
	p = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, file, 0);
	ktap_ok(p != MAP_FAILED && !p[8191] && p[8190], "zero follows the end of a file");
	if (!fork()) {
		signal(SIGBUS, SIG_DFL);
		_exit(*(volatile char *)(p + 2 * PAGE) + 256);
	}
	wait(&status);
	ktap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "the page behind gives SIGBUS");
	munmap(p, 3 * PAGE);
	close(file);
	mkdir("/over", 0755);
	ktap_ok(!mount("overlay", "/over", "overlay", 0, "lowerdir=/mnt:/b") && sums_ok("/over") &&
		same_mapping("/over/data.65536", MAP_SHARED), "overlayfs on top");
	ktap_ok(!umount("/over"), "unmount it");
}

/*
 * Page cache of programs and such is shared with another mount.  What the dma-buf maps is
 * not, if it can map anything: with inode_share it cannot on 7.3.
 */
static void check_shared(void)
{
	static char *const options[] = { "inode_share", "domain_id=d", NULL };
	int fd = make(4, MEMFD);
	volatile char *a, *b;
	struct utsname uts;

	ktap_ok(dmabuf_mount(fd, "/mnt", options) && share_mount("/dev/harness/blk4", "/b", NULL),
		"a dma-buf and a disk share page cache");
	close(fd);
	check_content("sharing");
	ktap_ok(same_mapping("/mnt/data.65536", MAP_PRIVATE) && same_mapping("/b/data.65536", MAP_PRIVATE) &&
		share_cached("/mnt", "data.65536") == 16 && share_cached("/b", "data.65536") == 16 &&
		ktap_is(share_counter("/dev/harness/blk4", "saved_bytes"), >=, 65536), "private mappings have the same pages");
	a = share_map("/mnt", "data.8192", 8192);
	b = share_map("/b", "data.8192", 8192);
	ktap_ok(a && b && a[0] == b[0] && a[8191] == b[8191], "shared mappings have the same bytes");
	ktap_ok(!munmap((void *)a, 8192) && !munmap((void *)b, 8192), "unmap them");
	drop_caches("1");
	a = share_map("/mnt", "data.1000003", 999424);
	for (int i = 0; a && i < 999424; i += PAGE)
		a[i];
	uname(&uts);
	ktap_eq(share_cached("/mnt", "data.1000003") >= 244, strncmp(uts.release, "6.", 2) != 0, "pages in the page cache");
	ktap_ok(!munmap((void *)a, 999424) && !umount("/mnt") && !umount("/b"), "unmount both");
}

/* Read most of what the image has; sums of it take much longer. */
static bool read_data(const char *dir)
{
	char command[64];

	snprintf(command, sizeof(command), "cat %s/data.* > /dev/null", dir);
	return !system(command);
}

static void check_many(int fd)
{
	char dir[32];
	long before, after;
	volatile char *map;
	int good = 0;

	drop_caches("3");
	before = free_kib();
	for (int n = 0; n < MOUNTS; n++) {
		snprintf(dir, sizeof(dir), "/m%d", n);
		mkdir(dir, 0755);
		good += dmabuf_mount(fd, dir, NULL) && (n % 10 ? read_data(dir) : sums_ok(dir));
		map = share_map(dir, "data.1000003", 999424);
		for (int i = 0; map && i < 999424; i += PAGE)
			map[i];
		munmap((void *)map, 999424);
	}
	ktap_eq(good, MOUNTS, "mount it %d times, read it each time, and compare all files in one of ten", MOUNTS);
	after = free_kib();
	ktap_ok(ktap_is((before - after) / MOUNTS, <, (long)(size / 1024 / 2)), "a mount takes %ld KiB, the image has %ld",
		(before - after) / MOUNTS, (long)(size / 1024));
	for (int n = 0; n < MOUNTS; n++) {
		snprintf(dir, sizeof(dir), "/m%d", n);
		good -= !umount(dir);
	}
	ktap_eq(good, 0, "unmount them");
}

/* The image says that the second half of a file is where the dma-buf has ended. */
static void check_lies(void)
{
	int fd = make(0, MEMFD), file;
	char *own = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *all, *second;
	static char buf[65536];
	uint32_t meta_blocks;
	struct stat st;

	ktap_ok(own != MAP_FAILED && dmabuf_mount(fd, "/mnt", NULL) && !stat("/mnt/data.65536", &st) && !umount("/mnt"),
		"find the inode of a file");
	memcpy(&meta_blocks, own + 1024 + 40, sizeof(meta_blocks));	/* struct erofs_super_block */
	*(uint32_t *)(own + 1024 + 8) &= ~htole32(1);			/* no checksum */
	*(uint32_t *)(own + le32toh(meta_blocks) * (off_t)PAGE + st.st_ino * 32 + 16) = htole32(size / PAGE - 8);
	ktap_ok(dmabuf_mount(fd, "/mnt", NULL), "mount an image that has a file behind its end");
	file = open("/mnt/data.65536", O_RDONLY);
	ktap_eq(read(file, buf, sizeof(buf)), 32768, "read what there is");
	ktap_fails(read(file, buf, sizeof(buf)), EIO, "and no more");
	all = mmap(NULL, 65536, PROT_READ, MAP_SHARED, file, 0);
	second = mmap(NULL, 32768, PROT_READ, MAP_SHARED, file, 32768);
	sigbus_catch();
	ktap_ok(all != MAP_FAILED && second != MAP_FAILED && !gives_sigbus(all) && gives_sigbus(all + 32768) &&
		gives_sigbus(all + 65535) && gives_sigbus(second), "map it: SIGBUS for what is not there");
	munmap(all, 65536);
	munmap(second, 32768);
	close(file);
	ktap_ok(!umount("/mnt"), "unmount");
	munmap(own, size);
	close(fd);
}

static void check_refused(int fd)
{
	static char *const dax[] = { "dax=always", NULL }, *const twice[] = { "source=/dev/harness/blk0", NULL },
		*const share[] = { "inode_share", NULL };
	int file = open("/dev/harness/blk0", O_RDONLY), small;

	ktap_fails(!dmabuf_mount(fd, "/mnt", dax), EOPNOTSUPP, "no DAX");
	ktap_fails(!dmabuf_mount(fd, "/mnt", twice), EINVAL, "no second source");
	ktap_fails(!dmabuf_mount(fd, "/mnt", share), EINVAL, "no inode_share without a domain");
	ktap_fails(!dmabuf_mount(file, "/mnt", NULL), EINVAL, "a descriptor of something else");
	ktap_fails(!dmabuf_mount(999, "/mnt", NULL), EBADF, "no descriptor");
	small = dmabuf_of_memfd(file, size / 2 / PAGE * PAGE, 0);
	ktap_fails(!dmabuf_mount(small, "/mnt", NULL), EINVAL, "an image that is longer than its dma-buf");
	close(small);
	small = dmabuf_of_memfd(open("/dev/zero", O_RDONLY), PAGE, 0);
	ktap_fails(!dmabuf_mount(small, "/mnt", NULL), EINVAL, "no image");
	close(small);
	close(file);
}

int main(void)
{
	long before, after;
	int fd;

	ktap_begin();
	write_to("/proc/sys/vm/nr_hugepages", "8");
	check_kinds();
	mkdir("/b", 0755);
	check_shared();
	check_lies();
	fd = make(0, MEMFD);
	check_refused(fd);
	check_mappings(fd);
	check_many(fd);
	close(fd);
	ktap_ok(sums_ok("/mnt") && same_mapping("/mnt/data.65536", MAP_SHARED), "it stays when its descriptor is closed");
	before = free_kib();
	ktap_ok(!umount("/mnt") && !umount("/b"), "unmount");
	/* what it was made of goes with a delayed work */
	for (int i = 0; i < 50 && free_kib() - before < size / 1024 / 2; i++)
		usleep(100000);
	after = free_kib();
	ktap_ok(ktap_is(after - before, >, (long)(size / 1024 / 2)), "%ld KiB are free then", after - before);
	return ktap_end();
}

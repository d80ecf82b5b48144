// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: files of every layout provide for a plain younger mount, in any order of reads, and show nothing behind their end
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_RAMDAX
 * image: base share base
 * image: a share base -zlz4 -C1048576 -Eztailpacking
 * image: b share base -zlzma -C131072 -Eall-fragments,dedupe
 * image: c share base -zzstd -C65536 -Eall-fragments -b1024
 * image: d share base -zlz4 -b512 -C16384 -Efragments,ztailpacking
 * image: e share base -zdeflate -Eztailpacking,dedupe -b2048
 * image: f share base -zlz4hc,12 -Elegacy-compress
 * image: g share base -zlz4 -C65536 -Efragments --max-extent-bytes=8192
 * image: h share base --chunksize=65536 -b512
 * image: i share base -zzstd -C1048576 -Efragments
 * device: blk:base
 * device: blk:a
 * device: blk:b
 * device: blk:c
 * device: blk:d
 * device: blk:e
 * device: blk:f
 * device: blk:g
 * device: blk:h
 * device: blk:i
 * device: pmem:d
 * device: ramdax:b
 * cpus: 2
 * memory: 160M
 * timeout: 120
 * flavours: fast
 */
#include "ktap.h"
#include "share.h"

#define READS	50

static const char *const older[] = { "blk1", "blk2", "blk3", "blk4", "blk5", "blk6", "blk7", "blk8", "blk9", "pmem0", "ramdax0" };
static const struct {
	const char *name;
	size_t size;
} files[] = {
	{ "f.1", 1 }, { "f.511", 511 }, { "f.4096", 4096 }, { "f.4097", 4097 }, { "f.8192", 8192 },
	{ "f.65536", 65536 }, { "same.2", 208893 }, { "f.300001", 300001 }, { "f.3000000", 3000000 },
};

#define FILES	(sizeof(files) / sizeof(files[0]))

static char *good[FILES], buffer[3000000];

static size_t below(size_t n)
{
	return (size_t)random() % n;
}

/* Some bytes of a file, by read(2). */
static bool pread_right(int fd, int f)
{
	size_t at = below(files[f].size), n = 1 + below(files[f].size - at);

	return pread(fd, buffer, n, at) == (ssize_t)n && !memcmp(buffer, good[f] + at, n);
}

/* Some bytes by mmap(2), and the last one of the page in which the file ends. */
static bool map_right(int fd, int f)
{
	const size_t end = (files[f].size - 1) | (sysconf(_SC_PAGESIZE) - 1);
	volatile char *p = mmap(NULL, files[f].size, PROT_READ, MAP_SHARED, fd, 0);
	bool right = p != MAP_FAILED && (end < files[f].size || !p[end]);

	for (int i = 0; i < 20 && right; i++) {
		size_t at = below(files[f].size);

		right = p[at] == good[f][at];
	}
	if (p != MAP_FAILED)
		munmap((void *)p, files[f].size);
	return right;
}

/* Returns how many of READS accesses are wrong. */
static int wrong(const char *dir, unsigned int seed)
{
	int n = 0;

	srandom(seed);
	for (int i = 0; i < READS; i++) {
		int f = below(FILES), fd = share_open(dir, files[f].name);

		if (below(2))
			posix_fadvise(fd, 0, 0, below(2) ? POSIX_FADV_RANDOM : POSIX_FADV_SEQUENTIAL);
		if (fd < 0 || !(below(2) ? pread_right : map_right)(fd, f)) {
			printf("# wrong: %s of %s\n", files[f].name, dir);
			n++;
		}
		close(fd);
		if (!below(12))
			drop_caches("1");
	}
	return n;
}

int main(void)
{
	ktap_begin();
	share_plain("/dev/harness/blk0", "/p");
	for (size_t f = 0; f < FILES; f++) {
		good[f] = malloc(files[f].size);
		ktap_ok(good[f] && share_read("/p", files[f].name, good[f], files[f].size) == (ssize_t)files[f].size,
			"read %s without sharing", files[f].name);
	}
	umount("/p");
	for (size_t i = 0; i < sizeof(older) / sizeof(older[0]); i++) {
		char device[64];
		pid_t pid;
		int n, status = -1;

		snprintf(device, sizeof(device), "/dev/harness/%s", older[i]);
		ktap_ok(share_mount(device, "/a", strstr(older[i], "pmem") ? "dax=always" : NULL) &&
			share_mount("/dev/harness/blk0", "/b", NULL), "mount %s, and a plain image after it", older[i]);
		/* it provides for what is open */
		for (size_t f = 0; f < FILES; f++)
			close(share_open("/a", files[f].name));
		fflush(stdout);
		pid = fork();
		if (!pid) {
			n = wrong("/a", i);
			fflush(stdout);
			_exit(n);
		}
		n = wrong("/b", i + 100);
		waitpid(pid, &status, 0);
		ktap_eq(n + WEXITSTATUS(status), 0, "wrong reads of both");
		/* the younger one goes on with what there is when the older one goes */
		ktap_ok(!umount("/a") && !wrong("/b", i + 200) && !umount("/b"), "the plain image alone, unmount");
	}
	share_settled(5);
	ktap_eq(share_counter(NULL, "failed"), 0, "copies that failed");
	ktap_eq(shared_inodes(), 0, "shared inodes that are left");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: page cache sharing under mounts, unmounts, reads, faults, reclaim and errors at once
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY DM_FLAKEY FAULT_INJECTION
 * config: EROFS_FS_RAMDAX VIRTIO_PMEM FS_DAX
 * image: base share base
 * image: next share next -zlz4hc,9
 * image: chunk share base --chunksize=4096 -b1024
 * image: zstd share base -zzstd -C65536 -Efragments
 * image: cut share cut
 * image: box share box
 * image: dax share base --dax
 * image: daxnext share next --dax
 * device: blk:base
 * device: blk:next
 * device: blk:chunk,iops=200
 * device: blk:zstd
 * device: blk:cut
 * device: blk:cut.blob
 * device: blk:box
 * device: pmem:dax
 * device: pmem:daxnext
 * cpus: 2
 * memory: 384M
 * flavours: debug
 * timeout: 30
 * stress: 170
 *
 * Eight images of one domain are mounted and unmounted all the time, plain,
 * chunked with small blocks, compressed, in a file, two on DAX; one disk is slow,
 * one is throttled, one fails now and then and one image lacks data.  Meanwhile files
 * are read, mapped and advised about in each of them, caches are dropped, and
 * allocations fail.  Every byte that is read is compared with what an unshared
 * mount gives.  STRESS_SECONDS in the environment says how long.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dm.h"
#include "ktap.h"

#define NR_READERS 5
#define SHARE "inode_share,domain_id=d"

static char slow[32], flaky[32];
/* can_fail: its own disk may give errors; the others must read everything */
static const struct { const char *source, *options; bool can_fail; } mounts[] = {
	{ "/dev/harness/blk0", SHARE, false },
	{ slow, SHARE, false },
	{ "/dev/harness/blk2", SHARE, false },
	{ flaky, SHARE, true },
	{ "/dev/harness/blk4", SHARE ",device=/dev/harness/blk5", true },
	{ "/box/image", SHARE, false },
	{ "/dev/harness/pmem0", SHARE ",dax=always", false },
	{ "/dev/harness/pmem1", SHARE ",dax=always", false },
};
#define NR_MOUNTS (int)(sizeof(mounts) / sizeof(*mounts))

static struct { const char *name; size_t size; char *data; } files[] = {
	{ .name = "f.1" }, { .name = "f.511" }, { .name = "f.1024" }, { .name = "f.4095" }, { .name = "f.4096" },
	{ .name = "f.4097" }, { .name = "f.65536" }, { .name = "f.300001" }, { .name = "f.3000000" },
	{ .name = "same.1" }, { .name = "same.2" }, { .name = "same.3" },
};
#define NR_FILES (int)(sizeof(files) / sizeof(*files))

/* what the readers have done, shared between all processes */
static struct { long reads, faults, failed, starved, mounts; } *done;

static bool learn(void)
{
	char path[64];
	struct stat st;

	if (mount("/dev/harness/blk0", "/plain", "erofs", MS_RDONLY, NULL))
		return false;
	for (int i = 0; i < NR_FILES; i++) {
		snprintf(path, sizeof(path), "/plain/%s", files[i].name);
		int fd = open(path, O_RDONLY);

		if (fd < 0 || fstat(fd, &st))
			return false;
		files[i].size = st.st_size;
		files[i].data = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (read(fd, files[i].data, st.st_size) != st.st_size)
			return false;
		close(fd);
	}
	return !umount("/plain");
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void pause_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000L }, NULL);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

/* Let the n-th allocation of this process from here on fail; 0: none any more. */
static void starve(int n)
{
	static int fd = -1;	/* opening it allocates */
	char text[16] = "";

	if (fd < 0)
		fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (n == 0 && pread(fd, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0)
		__atomic_add_fetch(&done->starved, 1, __ATOMIC_RELAXED);
	if (pwrite(fd, text, snprintf(text, sizeof(text), "%d", n), 0) < 0)
		_exit(9);
}

/* is an error one that this mount, or an allocation that failed, can give? */
static bool excused(int m, int error, bool starved)
{
	return (mounts[m].can_fail && error == EIO) || (starved && (error == ENOMEM || error == EIO));
}

static void mounter(int i, unsigned int seed)
{
	char dir[32];

	snprintf(dir, sizeof(dir), "/m%d", i);
	for (;;) {
		bool hungry = rand_r(&seed) % 4 == 0;
		int err;

		if (hungry)
			starve(1 + rand_r(&seed) % 150);
		err = mount(mounts[i].source, dir, "erofs", MS_RDONLY, mounts[i].options) ? errno : 0;
		if (hungry)
			starve(0);
		if (!err)
			__atomic_add_fetch(&done->mounts, 1, __ATOMIC_RELAXED);
		else if (err != EBUSY && !excused(i, err, hungry))
			_exit(100 + err % 100);
		pause_ms(rand_r(&seed) % 200);
		/* lazily: the last close of a reader unmounts it */
		umount2(dir, rand_r(&seed) % 2 ? MNT_DETACH : 0);
		pause_ms(rand_r(&seed) % 50);
	}
}

static sigjmp_buf no_page;

static void on_bus(int sig)
{
	siglongjmp(no_page, sig);
}

/* touch the pages of a mapping; false if the file gives an error there */
static bool look(const volatile char *map, const char *data, size_t offset, size_t end)
{
	volatile size_t at = offset;

	if (sigsetjmp(no_page, 1))
		return false;
	for (; at < end; at += 4096)
		if (map[at] != data[at])
			_exit(2);
	return true;
}

static void read_some(int fd, int m, int f, size_t offset, size_t size, bool hungry)
{
	static char buffer[300000] __attribute__((aligned(4096)));
	size_t wanted = size < files[f].size - offset ? size : files[f].size - offset;
	ssize_t n = pread(fd, buffer, size, offset);

	if (n < 0 && !excused(m, errno, hungry))
		_exit(6);
	/* less is read where an error follows */
	if (n >= 0 && (size_t)n != wanted && !mounts[m].can_fail && !hungry)
		_exit(7);
	if (n > 0 && memcmp(buffer, files[f].data + offset, n))
		_exit(2);
	__atomic_add_fetch(n < 0 ? &done->failed : &done->reads, 1, __ATOMIC_RELAXED);
}

static void reader(unsigned int seed)
{
	char path[64];

	signal(SIGBUS, on_bus);
	for (;;) {
		int m = rand_r(&seed) % NR_MOUNTS, f = rand_r(&seed) % NR_FILES, op = rand_r(&seed) % 10, fd;
		size_t offset = rand_r(&seed) % files[f].size, size = 1 + rand_r(&seed) % 300000;
		bool hungry = op >= 8;

		snprintf(path, sizeof(path), "/m%d/%s", m, files[f].name);
		if (hungry)
			starve(1 + rand_r(&seed) % 60);
		fd = open(path, O_RDONLY);
		if (fd < 0) {
			int err = errno;

			if (hungry)
				starve(0);
			if (err != ENOENT && !excused(m, err, hungry))
				_exit(4);
			pause_ms(1);
			continue;
		}
		if (op == 0) {
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		} else if (op == 1) {
			posix_fadvise(fd, offset, size, POSIX_FADV_WILLNEED);
		} else if (op < 4) {
			char *map = mmap(NULL, files[f].size, PROT_READ, op == 2 ? MAP_SHARED : MAP_PRIVATE, fd, 0);
			size_t end = size < files[f].size - offset ? offset + size : files[f].size;

			if (map == MAP_FAILED)
				_exit(5);
			if (look(map, files[f].data, offset, end))
				__atomic_add_fetch(&done->faults, 1, __ATOMIC_RELAXED);
			else if (!mounts[m].can_fail)
				_exit(3);
			munmap(map, files[f].size);
		} else {
			read_some(fd, m, f, offset, size, hungry);
			if (hungry)
				starve(0);
		}
		close(fd);
	}
}

static void dropper(unsigned int seed)
{
	for (;;) {
		write_file("/proc/sys/vm/drop_caches", &"1\0002\0003"[2 * (rand_r(&seed) % 3)]);
		if (system("cat /sys/fs/erofs/inode_share/* /sys/fs/erofs/*/inode_share/* > /dev/null 2>&1") < 0)
			_exit(8);
		pause_ms(rand_r(&seed) % 100);
	}
}

static long slab(void)
{
	char line[256];
	long active = -1;
	FILE *file;

	write_file("/sys/kernel/slab/erofs_shared_inode/shrink", "1");
	file = fopen("/proc/slabinfo", "r");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "erofs_shared_inode %ld", &active) == 1)
			break;
	fclose(file);
	return active;
}

int main(void)
{
	const char *text = getenv("STRESS_SECONDS");
	int seconds = text ? atoi(text) : 30, nr = 0, status, bad = 0;
	pid_t pids[NR_MOUNTS + NR_READERS + 1];
	char dir[32];

	ktap_begin();
	mkdir("/plain", 0755);
	mkdir("/box", 0755);
	for (int i = 0; i < NR_MOUNTS; i++) {
		snprintf(dir, sizeof(dir), "/m%d", i);
		mkdir(dir, 0755);
	}
	if (!access("/sys/kernel/debug/failslab", F_OK)) {
		write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "0");
		write_file("/sys/kernel/debug/failslab/verbose", "0");
		write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "0");
		write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
		write_file("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	}
	ktap_ok(dm_create("slow", "/dev/harness/blk1", "delay", "5", slow) &&
		dm_create("flaky", "/dev/harness/blk3", "flakey", "2 1 1 error_reads", flaky),
		"set up a slow disk and one that fails for one of three seconds");
	ktap_ok(learn(), "read the files from an image that does not share");
	ktap_ok(!mount("/dev/harness/blk6", "/box", "erofs", MS_RDONLY, NULL), "mount the image that holds an image");
	done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < NR_MOUNTS + NR_READERS + 1; i++) {
		pids[nr] = fork();
		if (!pids[nr]) {
			if (i < NR_MOUNTS)
				mounter(i, i + 1);
			else if (i < NR_MOUNTS + NR_READERS)
				reader(i + 1);
			dropper(i + 1);
		}
		nr++;
	}
	for (time_t end = now() + seconds; now() < end && !bad; ) {
		pause_ms(100);
		pid_t pid = waitpid(-1, &status, WNOHANG);

		for (int i = 0; pid > 0 && i < nr; i++)
			if (pids[i] == pid) {
				ktap_note("process %d ended with status 0x%x", i, status);
				bad = 1;
				pids[i] = 0;
			}
	}
	for (int i = 0; i < nr; i++)
		if (pids[i]) {
			kill(pids[i], SIGKILL);
			waitpid(pids[i], NULL, 0);
		}
	ktap_ok(!bad, "%d s: all of %ld reads and %ld mappings were right; %ld reads failed as they had to; %ld mounts; %ld failed allocations",
		seconds, done->reads, done->faults, done->failed, done->mounts, done->starved);
	ktap_ok(done->reads > seconds / 4 && done->faults > seconds / 10 && done->mounts > 2 * NR_MOUNTS &&
		done->starved > 0, "and there were enough of each");
	for (int i = 0; i < NR_MOUNTS; i++) {
		snprintf(dir, sizeof(dir), "/m%d", i);
		while (!umount(dir))
			;
	}
	ktap_ok(!umount("/box") && dm_remove("slow") && dm_remove("flaky"), "unmount");
	for (int i = 0; i < 50 && slab(); i++)
		pause_ms(100);
	ktap_ok(!slab(), "no shared inode is left (%ld)", slab());
	ktap_ok(!system("! dmesg | grep -E 'Busy inodes|BUG|WARN|blocked for more'"), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: page cache sharing under mounts, unmounts, reads, faults, reclaim and errors at once
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base
 * image: next share next -zlz4hc,9
 * image: chunk share base --chunksize=4096 -b1024
 * image: zstd share base -zzstd -C65536 -Efragments
 * image: cut share cut
 * image: box share box
 * device: blk:base
 * device: blk:next
 * device: blk:chunk,iops=200
 * device: blk:zstd
 * device: blk:cut
 * device: blk:cut.blob
 * device: blk:box
 * cpus: 2
 * memory: 384M
 * timeout: 90
 *
 * ISHARE_STRESS_SECONDS in the environment says how long, the default is 30.
 * Every byte that is read is compared with what an unshared mount gives.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ktap.h"

#define NR_READERS 4
#define CUT 4	/* the mount whose own reads can fail */

static const struct { const char *source, *options; } mounts[] = {
	{ "/dev/harness/blk0", "inode_share,domain_id=d" },
	{ "/dev/harness/blk1", "inode_share,domain_id=d" },
	{ "/dev/harness/blk2", "inode_share,domain_id=d" },
	{ "/dev/harness/blk3", "inode_share,domain_id=d" },
	{ "/dev/harness/blk4", "inode_share,domain_id=d,device=/dev/harness/blk5" },
	{ "/box/image", "inode_share,domain_id=d" },
};
#define NR_MOUNTS (int)(sizeof(mounts) / sizeof(*mounts))

static struct { const char *name; size_t size; char *data; } files[] = {
	{ .name = "f.1" }, { .name = "f.511" }, { .name = "f.1024" }, { .name = "f.4095" }, { .name = "f.4096" },
	{ .name = "f.4097" }, { .name = "f.65536" }, { .name = "f.300001" }, { .name = "f.3000000" },
	{ .name = "same.1" }, { .name = "same.2" }, { .name = "same.3" },
};
#define NR_FILES (int)(sizeof(files) / sizeof(*files))

/* what the readers have done, shared between all processes */
static struct { long reads, faults, failed, mounts; } *done;

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

static void pause_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000L }, NULL);
}

static void mounter(int i, unsigned int seed)
{
	char dir[32];

	snprintf(dir, sizeof(dir), "/m%d", i);
	for (;;) {
		if (!mount(mounts[i].source, dir, "erofs", MS_RDONLY, mounts[i].options))
			__atomic_add_fetch(&done->mounts, 1, __ATOMIC_RELAXED);
		else if (errno != EBUSY)
			_exit(1);
		pause_ms(rand_r(&seed) % 200);
		/* lazily: the last close of a reader unmounts it */
		umount2(dir, rand_r(&seed) % 2 ? MNT_DETACH : 0);
		pause_ms(rand_r(&seed) % 50);
	}
}

static void on_bus(int sig)
{
	(void)sig;
	_exit(3);
}

static void reader(unsigned int seed)
{
	static char buffer[300000] __attribute__((aligned(4096)));
	char path[64];

	signal(SIGBUS, on_bus);
	for (;;) {
		int m = rand_r(&seed) % NR_MOUNTS, f = rand_r(&seed) % NR_FILES, op = rand_r(&seed) % 8, fd;
		size_t offset = rand_r(&seed) % files[f].size, size = rand_r(&seed) % sizeof(buffer);
		ssize_t n;

		snprintf(path, sizeof(path), "/m%d/%s", m, files[f].name);
		fd = open(path, O_RDONLY);
		if (fd < 0) {
			if (errno != ENOENT)
				_exit(4);
			pause_ms(1);
			continue;
		}
		if (op == 0) {
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		} else if (op == 1) {
			posix_fadvise(fd, offset, size, POSIX_FADV_WILLNEED);
		} else if (op < 4 && m != CUT) {
			char *map = mmap(NULL, files[f].size, PROT_READ, op == 2 ? MAP_SHARED : MAP_PRIVATE, fd, 0);

			if (map == MAP_FAILED)
				_exit(5);
			for (; offset < files[f].size && size > 4096; offset += 4096, size -= 4096)
				if (map[offset] != files[f].data[offset])
					_exit(2);
			munmap(map, files[f].size);
			__atomic_add_fetch(&done->faults, 1, __ATOMIC_RELAXED);
		} else {
			n = pread(fd, buffer, size, offset);
			if (n < 0) {
				if (m != CUT || errno != EIO)
					_exit(6);
				__atomic_add_fetch(&done->failed, 1, __ATOMIC_RELAXED);
			} else {
				/* only an image that lacks data may read less */
				if (m != CUT && (size_t)n != (size < files[f].size - offset ? size : files[f].size - offset))
					_exit(7);
				if (memcmp(buffer, files[f].data + offset, n))
					_exit(2);
				__atomic_add_fetch(&done->reads, 1, __ATOMIC_RELAXED);
			}
		}
		close(fd);
	}
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
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
	const char *text = getenv("ISHARE_STRESS_SECONDS");
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
	for (int t = 0; t < seconds * 10 && !bad; t++) {
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
	ktap_note("%ld reads, %ld maps, %ld reads that failed as they had to, %ld mounts",
		  done->reads, done->faults, done->failed, done->mounts);
	ktap_ok(!bad, "all that was read was right");
	ktap_ok(done->reads > 0 && done->faults > 0 && done->mounts > NR_MOUNTS, "and much was");
	for (int i = 0; i < NR_MOUNTS; i++) {
		snprintf(dir, sizeof(dir), "/m%d", i);
		while (!umount(dir))
			;
	}
	ktap_ok(!umount("/box"), "unmount");
	for (int i = 0; i < 50 && slab(); i++)
		pause_ms(100);
	ktap_ok(!slab(), "no shared inode is left (%ld)", slab());
	ktap_ok(!system("! dmesg | grep -E 'Busy inodes|BUG|WARN|blocked for more'"), "no complaint of the kernel");
	return ktap_end();
}

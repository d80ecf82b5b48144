// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: disks go and come back while their mounts are read, opened and unmounted; no mount reads what is forged
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base
 * image: forged share forged -zlz4 -C65536
 * image: next share next --chunksize=4096
 * device: blk:base
 * device: blk:next
 * device: blk:forged
 * cpus: 2
 * stress: 15
 * timeout: 100
 */
#include <glob.h>
#include <sys/sendfile.h>

#include "ktap.h"
#include "share.h"
#include "sigbus.h"

#define N 3
static const char *const dirs[N] = { "/m0", "/m1", "/m2" };
static char pci[N][PATH_MAX];
static const struct { const char *name; size_t size; } files[] = {
	{ "f.4096", 4096 }, { "f.65536", 65536 }, { "f.300001", 300001 }, { "f.3000000", 3000000 },
};
static char *good[4], *bad[4], buffer[3000000];
static volatile int *stop, *wrong, *rounds, *counts;

static bool disk_of(int i, char *path)
{
	char pattern[N * PATH_MAX + 64];
	glob_t found;
	bool ok;

	snprintf(pattern, sizeof(pattern), "%s/virtio*/block/*", pci[i]);
	ok = !glob(pattern, 0, NULL, &found);
	if (ok)
		snprintf(path, 64, "/dev/%s", basename(found.gl_pathv[0]));
	globfree(&found);
	return ok;
}

static void check(int m, int f, const char *p, size_t at, size_t n, const char *how)
{
	if (!memcmp(p, good[f] + at, n)) {
		counts[0]++;
		return;
	}
	if (m == 2 && !memcmp(p, bad[f] + at, n)) {
		counts[1]++;
		return;
	}
	printf("# wrong bytes in %s/%s at %zu by %s: %s\n", dirs[m], files[f].name, at, how,
	       memcmp(p, bad[f] + at, n) ? "neither" : "forged");
	fflush(stdout);
	++*wrong;
}

static void reader(void)
{
	sigbus_catch();
	while (!*stop) {
		volatile int m = rand() % (N - 1), f = rand() % 4, fd = share_open(dirs[m], files[f].name);
		size_t size = files[f].size, at, n;
		volatile char *volatile p;

		if (fd < 0) {
			usleep(1000);
			continue;
		}
		if (rand() % 2)
			posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
		for (int k = 0; k < 4; k++) {
			if (rand() % 2) {
				at = rand() % size;
				n = size - at < 20000 ? size - at : 20000;
				if (pread(fd, buffer, n, at) == (ssize_t)n)
					check(m, f, buffer, at, n, "read");
				else
					counts[2]++;
				continue;
			}
			p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
			if (p == MAP_FAILED)
				continue;
			if (sigbus_came()) {
				counts[3]++;
			} else {
				for (int i = 0; i < 4; i++) {
					at = rand() % ((size + 4095) / 4096) * 4096;
					n = size - at < 4096 ? size - at : 4096;
					memcpy(buffer, (char *)p + at, n);
					check(m, f, buffer, at, n, "map");
				}
			}
			munmap((void *)p, size);
		}
		close(fd);
	}
	_exit(0);
}

/* 0 and 1 are true and can be anywhere in the order; 2 is forged, and the youngest */
static void cycle(void)
{
	char path[64];

	while (!*stop) {
		int victim = rand() % N;

		for (int i = 0; i < N; i++)
			if (disk_of(i, path))
				share_mount(path, dirs[i], NULL);
		/* it has all files attached, and none open */
		for (int f = 0; f < 4; f++)
			share_read(dirs[N - 1], files[f].name, buffer, rand() % 2 ? 1 : files[f].size);
		usleep(rand() % 300000);
		if (rand() % 3) {
			snprintf(buffer, PATH_MAX, "%s/remove", pci[victim]);
			if (!fork()) {
				write_to(buffer, "1");
				_exit(0);
			}
		}
		usleep(rand() % 20000);
		/* the forged one goes first, since what comes back is younger */
		while (umount(dirs[N - 1]) && errno == EBUSY)
			usleep(1000);
		for (int i = N - 2; i >= 0; i--)
			umount2(dirs[i], MNT_DETACH);
		while (waitpid(-1, NULL, 0) > 0)
			;
		write_to("/sys/bus/pci/rescan", "1");
		usleep(50000);
		++*rounds;
	}
	_exit(0);
}

static void onlooker(void)
{
	while (!*stop) {
		share_counter(NULL, "cached_bytes");
		share_counter(NULL, "saved_bytes");
		drop_caches(rand() % 2 ? "1" : "3");
		usleep(rand() % 100000);
	}
	_exit(0);
}

int main(void)
{
	volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[10];
	int n = 0;

	stop = shared;
	wrong = shared + 1;
	rounds = shared + 2;
	counts = shared + 3;
	ktap_begin();
	for (int i = 0; i < N; i++) {
		char path[PATH_MAX], real[PATH_MAX];

		snprintf(path, sizeof(path), "/dev/harness/blk%d", i);
		if (!realpath(path, real))
			return 1;
		snprintf(path, sizeof(path), "/sys/class/block/%s/device/..", basename(real));
		if (!realpath(path, pci[i]))
			return 1;
		mkdir(dirs[i], 0755);
	}
	for (int f = 0; f < 4; f++) {
		good[f] = malloc(files[f].size);
		bad[f] = malloc(files[f].size);
		share_plain("/dev/harness/blk0", dirs[0]);
		ktap_ok(share_read(dirs[0], files[f].name, good[f], files[f].size) == (ssize_t)files[f].size, "good");
		umount(dirs[0]);
		share_plain("/dev/harness/blk2", dirs[2]);
		ktap_ok(share_read(dirs[2], files[f].name, bad[f], files[f].size) == (ssize_t)files[f].size, "bad");
		umount(dirs[2]);
	}
	for (; n < 6; n++) {
		pids[n] = fork();
		if (pids[n])
			continue;
		srand(n);
		if (n < 4)
			reader();
		if (n == 4)
			cycle();
		onlooker();
	}
	sleep(getenv("STRESS_SECONDS") ? atoi(getenv("STRESS_SECONDS")) : 30);
	*stop = 1;
	for (int i = 0; i < n; i++)
		ktap_ok(share_end(pids[i], 60) == 0, "process %d ends", i);
	ktap_ok(!*wrong && *rounds > 0, "%d wrong in %d rounds (%d true, %d forged, %d errors, %d SIGBUS)", *wrong, *rounds,
		counts[0], counts[1], counts[2], counts[3]);
	for (int i = 0; i < N; i++)
		while (!umount2(dirs[i], MNT_DETACH))
			;
	usleep(1500000);
	ktap_ok(shared_inodes() == 0, "shared inodes left: %ld", shared_inodes());
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

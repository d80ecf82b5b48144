// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: mounts that share memory come, go and lose their devices under load, and the oldest keeps its bytes
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE VIRTIO_PMEM FS_DAX
 * image: base share base --dax
 * image: next share next --dax
 * image: chunk share base --chunksize=4096
 * image: forged share forged --dax
 * device: pmem:base
 * device: pmem:next
 * device: pmem:chunk
 * device: pmem:forged
 * cpus: 2
 * memory: 384M
 * stress: 15
 * timeout: 120
 */
#include <limits.h>
#include <sys/uio.h>

#include "ktap.h"
#include "share.h"
#include "sigbus.h"

#define N 4
static const char *const dirs[N] = { "/m0", "/m1", "/m2", "/m3" };
static char disk[N][PATH_MAX], nd[N][100];
static const struct { const char *name; size_t size; } files[] = {
	{ "f.4096", 4096 }, { "f.65536", 65536 }, { "f.300001", 300001 }, { "f.3000000", 3000000 },
};
static char *good[4], *bad[4], buffer[3000000];
static volatile int *stop, *wrong;
static unsigned int seed;

static unsigned int dice(unsigned int n) { seed = seed * 1103515245 + 12345; return (seed >> 16) % n; }

static bool attach(int i)
{
	char options[64];

	snprintf(options, sizeof(options), "dax=always,inode_share,domain_id=d");
	return !mount(disk[i], dirs[i], "erofs", MS_RDONLY, options);
}

static void check(int m, int f, const char *p, size_t at, size_t n, const char *how)
{
	bool g = !memcmp(p, good[f] + at, n), b = !memcmp(p, bad[f] + at, n);

	if (g || (m && b))
		return;
	printf("# wrong bytes in %s/%s at %zu by %s: %s\n", dirs[m], files[f].name, at, how, b ? "forged" : "neither");
	fflush(stdout);
	++*wrong;
}

static void reader(void)
{
	sigbus_catch();
	while (!*stop) {
		volatile int m = dice(3) ? dice(N) : 0, f = dice(4), fd = share_open(dirs[m], files[f].name);
		size_t size = files[f].size, at, n;
		volatile char *volatile p;
		int pipes[2] = { -1, -1 };

		if (fd < 0)
			continue;
		switch (dice(4)) {
		case 0:
			at = dice(size);
			n = size - at < 70000 ? size - at : 70000;
			if (pread(fd, buffer, n, at) == (ssize_t)n)
				check(m, f, buffer, at, n, "read");
			else if (!m)
				printf("# old read: %s\n", strerror(errno)), ++*wrong;
			break;
		case 1:
		case 2:
			p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
			if (dice(2)) {
				munmap((void *)p, size);
				p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
			}
			if (p == MAP_FAILED)
				break;
			if (sigbus_came()) {
				if (!m)
					printf("# old SIGBUS\n"), ++*wrong;
			} else {
				for (int i = 0; i < 8; i++) {
					at = dice((size + 4095) / 4096) * 4096;
					n = size - at < 4096 ? size - at : 4096;
					memcpy(buffer, (char *)p + at, n);
					check(m, f, buffer, at, n, "map");
				}
			}
			munmap((void *)p, size);
			break;
		default:
			p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
			if (p != MAP_FAILED && !pipe(pipes)) {
				struct iovec iov = { (void *)(p + dice((size + 4095) / 4096) * 4096), 512 };

				if (vmsplice(pipes[1], &iov, 1, 0) == 512) {
					munmap((void *)p, size);
					close(fd);
					fd = -1;
					p = MAP_FAILED;
					usleep(dice(20000));
					if (read(pipes[0], buffer, 512) != 512)
						++*wrong;
				}
			}
			if (p != MAP_FAILED)
				munmap((void *)p, size);
			close(pipes[0]);
			close(pipes[1]);
		}
		if (fd >= 0)
			close(fd);
	}
	_exit(0);
}

static void mounter(int i)
{
	while (!*stop) {
		attach(i);
		usleep(dice(100000));
		if (umount(dirs[i]) && !dice(4))
			umount2(dirs[i], MNT_DETACH);
		usleep(dice(20000));
	}
	_exit(0);
}

static void unbinder(void)
{
	while (!*stop) {
		int i = 1 + dice(N - 1);

		write_to("/sys/bus/nd/drivers/nd_pmem/unbind", nd[i]);
		usleep(dice(30000));
		write_to("/sys/bus/nd/drivers/nd_pmem/bind", nd[i]);
		usleep(dice(200000));
	}
	_exit(0);
}

static void onlooker(void)
{
	static const char *const counters[] = { "cached_bytes", "saved_bytes", "dax_bytes", "dax_saved_bytes" };
	char path[PATH_MAX];

	while (!*stop) {
		for (int i = 0; i < 4; i++) {
			share_counter(NULL, counters[i]);
			snprintf(path, sizeof(path), "/sys/fs/erofs/pmem%u/inode_share/%s", dice(N), counters[i]);
			share_number(path, 0);
			snprintf(path, sizeof(path), "/sys/fs/erofs/pmem%u/dax/mapped_bytes", dice(N));
			share_number(path, 0);
		}
		if (!dice(3))
			drop_caches("2");
		usleep(dice(10000));
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
	ktap_begin();
	for (int i = 0; i < N; i++) {
		char path[200], real[PATH_MAX];

		snprintf(path, sizeof(path), "/dev/harness/pmem%d", i);
		if (!realpath(path, disk[i]))
			return 1;
		mkdir(dirs[i], 0755);
		snprintf(path, sizeof(path), "/sys/block/%s/device", basename(strdup(disk[i])));
		snprintf(nd[i], sizeof(nd[i]), "%s", realpath(path, real) ? basename(real) : "none");
	}
	for (int f = 0; f < 4; f++) {
		good[f] = malloc(files[f].size);
		bad[f] = malloc(files[f].size);
		share_plain(disk[0], dirs[0]);
		ktap_ok(share_read(dirs[0], files[f].name, good[f], files[f].size) == (ssize_t)files[f].size, "good");
		umount(dirs[0]);
		share_plain(disk[3], dirs[3]);
		ktap_ok(share_read(dirs[3], files[f].name, bad[f], files[f].size) == (ssize_t)files[f].size, "bad");
		umount(dirs[3]);
	}
	ktap_ok(attach(0), "mount the oldest");
	for (; n < 9; n++) {
		pids[n] = fork();
		if (pids[n])
			continue;
		seed = 77 * n + 1;
		if (n < 4)
			reader();
		if (n < 7)
			mounter(n - 3);
		if (n == 7)
			unbinder();
		onlooker();
	}
	sleep(getenv("STRESS_SECONDS") ? atoi(getenv("STRESS_SECONDS")) : 30);
	*stop = 1;
	for (int i = 0; i < n; i++)
		ktap_ok(share_end(pids[i], 20) == 0, "process %d ends", i);
	ktap_ok(!*wrong, "%d wrong", *wrong);
	for (int i = 0; i < N; i++) {
		while (!umount2(dirs[i], MNT_DETACH))
			;
		write_to("/sys/bus/nd/drivers/nd_pmem/bind", nd[i]);
	}
	usleep(1500000);
	ktap_ok(shared_inodes() == 0, "shared inodes left: %ld", shared_inodes());
	for (int i = 0; i < N; i++)
		ktap_ok(share_plain(disk[i], dirs[i]) && !umount(dirs[i]), "%s can be mounted again", disk[i]);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

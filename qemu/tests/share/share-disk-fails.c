// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a disk that fails reads before it is gone, as NVMe does, costs no reader of a younger image anything
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE BLK_DEV_NVME
 * image: base share base
 * image: next share next --chunksize=4096
 * device: nvme:base
 * device: blk:next
 * cpus: 2
 * flavours: fast modules
 *
 * The controller is moved away from where its driver looks for it, and reset: the
 * driver fails what is under way, gives the controller up, and only then says that
 * its disks are dead.  Its queues are frozen by a worker and thawed by another one,
 * which lockdep of Linux 6.12 takes for a lock that leaks.
 */
#include "ktap.h"
#include "share.h"

#define SIZE	3000000
#define READERS	3

static char good[SIZE], buffer[SIZE];

/* Read until told to stop, or until something goes wrong. Return: what, or 0. */
static int reader(const volatile int *stop, volatile int *rounds)
{
	int fd = share_open("/b", "f.3000000");

	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	while (!*stop) {
		size_t at = rand() % (SIZE / 4096) * 4096;

		if (pread(fd, buffer, 4096, at) != 4096)
			return 1;
		if (memcmp(buffer, good + at, 4096))
			return 2;
		++*rounds;
	}
	return 0;
}

/* Put the registers of the controller of a disk where nothing is, and let the driver find out. */
static bool break_controller(const char *device)
{
	static const unsigned char nowhere[8] = { 4, 0, 0, 0xa0, 0, 0, 0, 0 };	/* a 64-bit BAR */
	char real[PATH_MAX], path[PATH_MAX + 64];
	bool ok;
	int fd;

	if (!realpath(device, real))
		return false;
	snprintf(path, sizeof(path), "/sys/class/block/%s/device/device/config", basename(real));
	fd = open(path, O_RDWR);
	ok = fd >= 0 && pwrite(fd, nowhere, 8, 0x10) == 8;
	close(fd);
	snprintf(path, sizeof(path), "/sys/class/block/%s/device/reset_controller", basename(real));
	/* which fails, as the reset does */
	return ok && !access(path, W_OK) && (write_to(path, "1") || true);
}

int main(void)
{
	volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[READERS];
	long long before;

	ktap_begin();
	ktap_ok(share_mount("/dev/harness/nvme0", "/a", NULL) && share_mount("/dev/harness/blk0", "/b", NULL), "mount");
	ktap_ok(share_read("/a", "f.3000000", good, SIZE) == SIZE, "the older image is read");
	before = share_disk_reads("/dev/harness/blk0");
	ktap_ok(share_read("/b", "f.3000000", buffer, SIZE) == SIZE && !memcmp(good, buffer, SIZE), "and the younger one");
	for (int i = 0; i < READERS; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			srand(i);
			_exit(reader(shared, shared + 1 + i));
		}
	}
	for (int i = 0; i < 20; i++) {
		drop_caches("1");
		usleep(10000);
	}
	ktap_ok(share_disk_reads("/dev/harness/blk0") - before < SIZE, "whose disk is not asked for the data");
	ktap_ok(break_controller("/dev/harness/nvme0"), "the older disk fails");
	for (int i = 0; i < 300; i++) {
		drop_caches("1");
		usleep(10000);
	}
	*shared = 1;
	for (int i = 0; i < READERS; i++) {
		int status = share_end(pids[i], 20);

		ktap_ok(!status, "reader %d: status %#x after %d reads", i, status, shared[1 + i]);
	}
	ktap_ok(share_disk_reads("/dev/harness/blk0") - before >= SIZE, "the younger disk provides");
	ktap_eq(share_counter(NULL, "failed"), 0, "and nothing has been given up");
	ktap_ok(!umount("/a") && !umount("/b"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

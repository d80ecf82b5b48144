// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who is interrupted or killed while a device writes to a dma-buf makes nobody's read fail
 * series: 3-memory
 * config: EROFS_FS_DMABUF UDMABUF SW_SYNC EROFS_FS_ZIP EROFS_FS_PAGE_CACHE_SHARE
 * image: ztree tree -zlz4 -C65536 --fingerprint
 * image: tree tree --fingerprint -Enoinline_data
 * device: blk:ztree
 * device: blk:tree
 * cpus: 2
 * timeout: 120
 *
 * A thread plays a device that writes to the dma-buf again and again: it adds a fence,
 * and signals it a moment later.
 */
#include <errno.h>
#include <linux/dma-buf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include "dmabuf.h"
#include "ktap.h"
#include "share.h"
#include "system.h"

#define NAME	"data.1000003"
#define SIZE	1000003

/* drivers/dma-buf/sw_sync.c */
struct sw_sync_create_fence_data {
	uint32_t value;
	char name[32];
	int32_t fence;
};

#define SW_SYNC_IOC_CREATE_FENCE	_IOWR('W', 0, struct sw_sync_create_fence_data)
#define SW_SYNC_IOC_INC			_IOW('W', 1, uint32_t)

static int fd;
static volatile bool stop;
static volatile long writes;

/* Let the dma-buf be written to until @timeline comes to @value. */
static bool begin_write(int timeline, uint32_t value)
{
	struct sw_sync_create_fence_data fence = { .value = value, .name = "write" };
	struct dma_buf_import_sync_file import = { .flags = DMA_BUF_SYNC_WRITE };
	bool good;

	if (ioctl(timeline, SW_SYNC_IOC_CREATE_FENCE, &fence))
		return false;
	import.fd = fence.fence;
	good = !ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import);
	close(fence.fence);
	return good;
}

static int new_timeline(void)
{
	return open("/sys/kernel/debug/sync/sw_sync", O_RDWR);
}

static void *device(void *unused)
{
	int timeline = new_timeline();
	uint32_t one = 1;

	for (uint32_t n = 1; !stop && begin_write(timeline, n); n++) {
		usleep(200);
		ioctl(timeline, SW_SYNC_IOC_INC, &one);
		writes++;
	}
	close(timeline);
	return unused;
}

static void nothing(int sig)
{
	(void)sig;
}

/*
 * Read the file of a mount anew, by page cache, while a signal comes each 700 us.
 * Return: errnos that came, as bits: 1 EIO, 2 EINTR, 4 others
 */
static int read_interrupted(const char *dir)
{
	static const struct itimerval timer = { { 0, 700 }, { 0, 700 } }, none;
	static char buf[SIZE];
	int seen = 0, error;

	for (int i = 0; i < 20; i++) {
		drop_caches("1");
		setitimer(ITIMER_REAL, &timer, NULL);
		for (off_t at = 0; at < SIZE; ) {
			int file = share_open(dir, NAME);
			ssize_t n = file < 0 ? -1 : pread(file, buf, 65536, at);

			error = errno;
			close(file);
			if (n > 0) {
				at += n;
				continue;
			}
			seen |= error == EIO ? 1 : error == EINTR ? 2 : 4;
			if (error != EINTR)
				break;
		}
		setitimer(ITIMER_REAL, &none, NULL);
	}
	return seen;
}

/* The same, while the device writes. */
static int read_written(const char *dir)
{
	pthread_t thread;
	int seen;

	stop = false;
	pthread_create(&thread, NULL, device, NULL);
	usleep(20000);
	seen = read_interrupted(dir);
	stop = true;
	pthread_join(thread, NULL);
	ktap_note("%ld writes", writes);
	return seen;
}

int main(void)
{
	static char *const options[] = { "inode_share", "domain_id=d", NULL };
	int disk = open("/dev/harness/blk0", O_RDONLY), timeline, older, younger;
	uint32_t one = 1;
	pid_t pid;

	ktap_begin();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	fd = dmabuf_of_memfd(disk, dmabuf_image_size(disk), 0);
	close(disk);
	signal(SIGALRM, nothing);
	ktap_ok(dmabuf_mount(fd, "/mnt", NULL) && sums_ok("/mnt"), "mount it, compressed");
	ktap_ok(ktap_is(read_written("/mnt") & 5, ==, 0), "reads succeed, or say EINTR");
	ktap_ok(ktap_is(writes, >, 20) && sums_ok("/mnt") && !umount("/mnt"), "afterwards all is well");

	ktap_ok(dmabuf_mount(fd, "/mnt", options) && share_mount("/dev/harness/blk1", "/b", NULL),
		"mount it, and a disk that shares");
	older = share_open("/mnt", NAME);
	younger = share_open("/b", NAME);
	ktap_ok(ktap_is(read_written("/b") & 5, ==, 0), "reads by the other one succeed, or say EINTR");
	ktap_eq(share_counter(NULL, "failed"), 0, "interrupted reads change nothing");

	timeline = new_timeline();
	ktap_ok(begin_write(timeline, 1), "a device that does not come to its end");
	drop_caches("1");
	pid = fork();
	if (!pid) {
		static char c;

		_exit(pread(younger, &c, 1, 500000) != 1);
	}
	usleep(500000);
	ktap_ok(!waitpid(pid, NULL, WNOHANG), "who reads by the other mount waits for it");
	kill(pid, SIGKILL);
	ktap_ok(share_end(pid, 5) != -1, "and can be killed");
	ioctl(timeline, SW_SYNC_IOC_INC, &one);
	close(timeline);
	close(older);
	close(younger);
	ktap_ok(sums_ok("/b") && sums_ok("/mnt"), "when it has come to its end, both have what is in them");
	ktap_eq(share_counter(NULL, "failed"), 0, "and nothing has failed");
	ktap_ok(!umount("/mnt") && !umount("/b"), "unmount");
	close(fd);
	return ktap_end();
}

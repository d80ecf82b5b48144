// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a dma-buf of udmabuf that a device has mapped, by bounce buffers, is mounted, read and written
 * series: 1-fixes/????-udmabuf-map-each-page-of-a-large-folio-for-the-kerne.patch
 * config: EROFS_FS_DMABUF UDMABUF SWIOTLB DRM_VGEM
 * append: swiotlb=force
 * image: tree tree -Enoinline_data
 * device: blk:tree
 * cpus: 2
 * timeout: 120
 *
 * vgem maps what is imported, for DMA both ways, until its handle is closed.  It does no
 * DMA, so that its bounce buffers have what was synced last.  That of Linux 7.3 maps nothing,
 * so this is for 6.12, which has the patch that is named above.
 */
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "dmabuf.h"
#include "ktap.h"
#include "system.h"

/* include/uapi/drm/drm.h */
struct drm_prime_handle {
	uint32_t handle;
	uint32_t flags;
	int32_t fd;
};

struct drm_gem_close {
	uint32_t handle;
	uint32_t pad;
};

#define DRM_IOCTL_GEM_CLOSE		_IOW('d', 0x09, struct drm_gem_close)
#define DRM_IOCTL_PRIME_FD_TO_HANDLE	_IOWR('d', 0x2e, struct drm_prime_handle)

static int card, fd;
static unsigned char *bytes;
static size_t size, spare;	/* of the image, and behind it */

static bool import(struct drm_prime_handle *prime)
{
	*prime = (struct drm_prime_handle){ .fd = fd };
	return !ioctl(card, DRM_IOCTL_PRIME_FD_TO_HANDLE, prime);
}

static bool release(const struct drm_prime_handle *prime)
{
	return !ioctl(card, DRM_IOCTL_GEM_CLOSE, &(struct drm_gem_close){ .handle = prime->handle });
}

static bool sync_cpu(uint64_t flags)
{
	return !ioctl(fd, DMA_BUF_IOCTL_SYNC, &(struct dma_buf_sync){ .flags = flags });
}

/* Write what can be told from what was there, as dma-buf's users are to. */
static bool write_bytes(unsigned char c)
{
	if (!sync_cpu(DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE))
		return false;
	memset(bytes + size, c, spare);
	return sync_cpu(DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
}

static bool all_are(unsigned char c)
{
	for (size_t i = 0; i < spare; i++)
		if (bytes[size + i] != c)
			return false;
	return true;
}

static bool read_bytes(unsigned char c)
{
	bool good;

	if (!sync_cpu(DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ))
		return false;
	good = all_are(c);
	return sync_cpu(DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ) && good;
}

/* Each look at metadata syncs all of it, which takes its time: some of them, and of the files. */
static bool looks_right(void)
{
	return !system("cd /mnt && ls -l > /dev/null && grep data.65536 SHA256SUMS | sha256sum -c > /dev/null");
}

static atomic_bool stop;

static void *map_again(void *arg)
{
	struct drm_prime_handle prime;
	long *times = arg;

	while (!stop) {
		if (!import(&prime) || !release(&prime))
			return "failed";
		++*times;
	}
	return NULL;
}

int main(void)
{
	int disk = open("/dev/harness/blk0", O_RDONLY), memfd = memfd_create("image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct drm_prime_handle prime;
	void *failed = "failed";
	pthread_t thread;
	long times = 0;
	bool good;

	ktap_begin();
	card = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
	ktap_ok(card >= 0, "there is vgem");
	size = dmabuf_image_size(disk);
	spare = 256 << 10;
	ktap_ok(!ftruncate(memfd, size + spare), "memory for the image and %zu KiB", spare >> 10);
	bytes = mmap(NULL, size + spare, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	ktap_ok(bytes != MAP_FAILED && dmabuf_fill((char *)bytes, disk, size), "the image is in it");
	fd = dmabuf_udmabuf(memfd, size + spare);
	ktap_ok(fd >= 0, "as a dma-buf");

	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(import(&prime), "a device maps it");
	ktap_ok(ktap_is(number_in("/sys/kernel/debug/swiotlb/io_tlb_used"), >, 0), "by bounce buffers");
	ktap_ok(read_bytes(0), "what was there can be read");
	ktap_ok(write_bytes(1) && read_bytes(1), "what a CPU writes stays");
	ktap_ok(dmabuf_mount(fd, "/mnt", NULL), "mount");
	ktap_ok(looks_right(), "a file is right");
	ktap_ok(all_are(1), "looks at it change nothing of what was written");
	ktap_ok(write_bytes(2) && release(&prime), "the device goes");
	ktap_ok(all_are(2), "it leaves what a CPU has written");
	memset(bytes + size, 3, spare);
	ktap_ok(import(&prime) && release(&prime) && all_are(3),
		"so it does with what was written by the memfd while there was no device");

	ktap_ok(!pthread_create(&thread, NULL, map_again, &times), "it comes and goes");
	good = looks_right();
	stop = true;
	pthread_join(thread, &failed);
	ktap_ok(!failed && ktap_is(times, >, 1), "%ld times", times);
	ktap_ok(good && all_are(3), "under a mount that is used");
	ktap_ok(sums_ok("/mnt"), "without it all files are right");
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

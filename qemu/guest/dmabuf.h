/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dma-bufs that hold an image, and mounts of them, for programs of the guest. */
#ifndef DMABUF_H
#define DMABUF_H

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/* the size of a file or block device, or -1 */
static inline off_t dmabuf_image_size(int image)
{
	return lseek(image, 0, SEEK_END);
}

/** dmabuf_fill - copy @size bytes of a file to where @p points. Return: whether it had them */
static inline bool dmabuf_fill(char *p, int image, size_t size)
{
	for (size_t done = 0; done < size; ) {
		ssize_t n = pread(image, p + done, size - done, done);

		if (n <= 0)
			return false;
		done += n;
	}
	return true;
}

/**
 * dmabuf_udmabuf - make a dma-buf of pages of a memfd
 * @memfd: is made so that it cannot shrink
 * @size: bytes from its start, a multiple of the page size
 *
 * Return: a descriptor, or -1 with errno.
 */
static inline int dmabuf_udmabuf(int memfd, size_t size)
{
	struct udmabuf_create create = { .memfd = memfd, .flags = UDMABUF_FLAGS_CLOEXEC, .size = size };
	int dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), fd;

	if (dev < 0)
		return -1;
	fd = fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK) ? -1 : ioctl(dev, UDMABUF_CREATE, &create);
	close(dev);
	return fd;
}

/**
 * dmabuf_of_memfd - copy an image to a memfd, and make a dma-buf of that
 * @image: open file or block device
 * @size: bytes of it, a multiple of the page size
 * @flags: of memfd_create(2), beside MFD_ALLOW_SEALING
 *
 * Return: a descriptor, or -1 with errno.
 */
static inline int dmabuf_of_memfd(int image, size_t size, unsigned int flags)
{
	int memfd = memfd_create("image", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags), fd = -1;
	char *p = MAP_FAILED;

	if (memfd < 0)
		return -1;
	if (!ftruncate(memfd, size))
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (p != MAP_FAILED) {
		if (dmabuf_fill(p, image, size))
			fd = dmabuf_udmabuf(memfd, size);
		munmap(p, size);
	}
	close(memfd);
	return fd;
}

/** dmabuf_of_heap - copy an image to a dma-buf of the system heap; see dmabuf_of_memfd() */
static inline int dmabuf_of_heap(int image, size_t size)
{
	struct dma_heap_allocation_data data = { .len = size, .fd_flags = O_RDWR | O_CLOEXEC };
	int heap = open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC);
	bool good = false;
	char *p;

	if (heap < 0)
		return -1;
	if (ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data)) {
		close(heap);
		return -1;
	}
	close(heap);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, data.fd, 0);
	if (p != MAP_FAILED) {
		good = dmabuf_fill(p, image, size);
		munmap(p, size);
	}
	if (good)
		return data.fd;
	close(data.fd);
	return -1;
}

/**
 * dmabuf_mount - mount EROFS from a descriptor
 * @fd: of a dma-buf, or whatever else is to be tried
 * @dir: where to
 * @options: "KEY" or "KEY=VALUE" each, ends with NULL; may be NULL
 *
 * Return: whether it is mounted; if not, errno says why.
 */
static inline bool dmabuf_mount(int fd, const char *dir, char *const *options)
{
	int fs = fsopen("erofs", FSOPEN_CLOEXEC), mnt, error;
	bool good = fs >= 0 && !fsconfig(fs, FSCONFIG_SET_FD, "source", NULL, fd);
	char key[64], *value;

	for (; good && options && *options; options++) {
		value = strchr(*options, '=');
		snprintf(key, sizeof(key), "%.*s", value ? (int)(value - *options) : 63, *options);
		good = !fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value ? value + 1 : NULL, 0);
	}
	good = good && !fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	mnt = good ? fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY) : -1;
	good = mnt >= 0 && !move_mount(mnt, "", AT_FDCWD, dir, MOVE_MOUNT_F_EMPTY_PATH);
	error = errno;
	if (mnt >= 0)
		close(mnt);
	if (fs >= 0)
		close(fs);
	errno = error;
	return good;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A namespace in devdax mode, as "ndctl create-namespace -m devdax" leaves it: an info
 * block (struct nd_pfn_sb of drivers/nvdimm/pfn.h) at byte 4096 says that what lies
 * behind DATA is a DAX device.  The image is put there first, by the block device
 * blk0.  The test has "append: memmap=16M!128M" for /dev/pmem0.
 */
#ifndef DEVDAX_H
#define DEVDAX_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dmabuf.h"
#include "system.h"

#ifndef DATA
#define DATA		(2UL << 20)
#endif
#define INFO		4096
#define SUPER		1024
#define EROFS_MAGIC	0xe0f5e1e2
#define NODE		"/dev/dax0.0"
#define BUS_DAX		"/sys/bus/dax/drivers/"
#define BUS_ND		"/sys/bus/nd/drivers/"

struct nd_pfn_sb {
	uint8_t signature[16], uuid[16], parent_uuid[16];
	uint32_t flags;
	uint16_t version_major, version_minor;
	uint64_t dataoff, npfns;
	uint32_t mode, start_pad, end_trunc, align, page_size;
	uint16_t page_struct_size;
	uint8_t padding[3994];
	uint64_t checksum;
} __attribute__((packed));
_Static_assert(sizeof(struct nd_pfn_sb) == 4096, "info block");

/* Write @device to a file of a driver.  Return: 0 or an errno. */
static inline int driver(const char *file, const char *device)
{
	return write_to(file, device) ? 0 : errno;
}

static inline bool is_bound(const char *name)
{
	char path[128], target[256] = "";

	snprintf(path, sizeof(path), "/sys/bus/dax/devices/dax0.0/driver");
	if (readlink(path, target, sizeof(target) - 1) < 0)
		return !*name;
	return !strcmp(strrchr(target, '/') + 1, name);
}

/* What the device has at SUPER, if it can be mapped by its node; errno if not. */
static inline uint32_t magic_by_mapping(void)
{
	int fd = open(NODE, O_RDWR);
	uint32_t magic = 0;
	char *p;

	if (fd < 0)
		return 0;
	p = mmap(NULL, DATA, PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED) {
		memcpy(&magic, p + SUPER, sizeof(magic));
		munmap(p, DATA);
	}
	close(fd);
	return magic;
}

/* A driver shows as bound before it has done all that it has to do. */
static inline bool image_can_be_mapped(void)
{
	for (int i = 0; i < 100; i++) {
		if (magic_by_mapping() == EROFS_MAGIC)
			return true;
		usleep(50000);
	}
	return false;
}

/**
 * devdax_map - map the device, and copy the image of blk0 to it: a mapping is the only way in
 * @size: is set to the bytes that are mapped, those of the image
 *
 * Return: the mapping, or MAP_FAILED
 */
static inline char *devdax_map(size_t *size)
{
	int from = open("/dev/harness/blk0", O_RDONLY), to = open(NODE, O_RDWR);
	char *p;

	*size = dmabuf_image_size(from);
	p = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, to, 0);
	if (p != MAP_FAILED && !dmabuf_fill(p, from, *size)) {
		munmap(p, *size);
		p = MAP_FAILED;
	}
	close(from);
	close(to);
	return p;
}

/** devdax_fill - the same, for those who do not need the mapping. Return: whether it is done */
static inline bool devdax_fill(void)
{
	size_t size;
	char *p = devdax_map(&size);

	return p != MAP_FAILED && !munmap(p, size);
}

/* The image and the info block.  Return: 0 or an errno. */
static inline int fill(void)
{
	static char buf[1 << 16];
	struct nd_pfn_sb info = {
		.signature = "NVDIMM_DAX_INFO", .uuid = "erofs-ramdax",
		.version_major = 1, .version_minor = 4, .dataoff = DATA, .mode = 1 /* struct pages in RAM */,
		.align = 2 << 20, .page_size = 4096, .page_struct_size = 64,
	};
	int from = open("/dev/harness/blk0", O_RDONLY), to = open("/dev/pmem0", O_RDWR);
	uint32_t low = 0, word;
	uint64_t high = 0;
	off_t at = DATA;
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0 && pwrite(to, buf, n, at) == n)
		at += n;
	/* Fletcher, 64 bits */
	for (size_t i = 0; i < sizeof(info); i += sizeof(word)) {
		memcpy(&word, (char *)&info + i, sizeof(word));
		low += word;
		high += low;
	}
	info.checksum = high << 32 | low;
	if (n || at == DATA || pwrite(to, &info, sizeof(info), INFO) != sizeof(info) || fsync(to))
		return errno ?: EIO;
	close(from);
	close(to);
	return 0;
}

#endif

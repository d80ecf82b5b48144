// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a plain file, or a symbolic link, that is one hole reads in memory as it does from a block device
 * series: 1-fixes/????-erofs-do-not-look-for-shared-xattrs-in-the-metabox.patch
 * config: X86_PMEM_LEGACY FS_DAX EROFS_FS_RAMDAX EROFS_FS_DMABUF UDMABUF PAGE_SIZE_4KB
 * image: tree tree -Enoinline_data
 * device: blk:tree
 * append: memmap=8M!128M
 * cpus: 2
 * timeout: 60
 *
 * Linux 7.3, which is the one with that patch, takes a first block of -1 for a hole, and leaves it
 * to who asks how long that is.  Linux 6.12 knows no such inodes.
 */
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dmabuf.h"
#include "ktap.h"
#include "share.h"
#include "system.h"

#define SLOT		32
#define SUPER		1024
#define MAX		(8 << 20)
#define FILE_BYTES	65536
/* none of these takes a second */
#define LIMIT		10.0

static char image[MAX];

/* Let a file of the image, which is mounted at /mnt, begin at block -1. */
static bool make_hole(const char *path)
{
	uint32_t meta = le32toh(*(uint32_t *)(image + SUPER + 40));
	struct stat st;
	char *inode;
	uint16_t format;

	if (lstat(path, &st))
		return false;
	inode = image + (uint64_t)meta * 4096 + st.st_ino * SLOT;
	format = le16toh(*(uint16_t *)inode);
	*(uint16_t *)inode = htole16(format & ~(7 << 1));	/* plain, if it was not */
	memset(inode + 16, 0xff, 4);
	if (format & 1 || format & 1 << 5)	/* extended, or its links are not counted there */
		memset(inode + 6, 0xff, 2);
	return true;
}

static int try_read(const char *dir, const char *name)
{
	static char buffer[FILE_BYTES];
	ssize_t n = share_read(dir, name, buffer, sizeof(buffer));

	for (ssize_t i = 0; i < n; i++)
		if (buffer[i])
			return 3;
	return n == FILE_BYTES ? 0 : 2;
}

static int try_map(const char *dir, const char *name)
{
	char path[64];
	int fd;
	char *p;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	p = mmap(NULL, FILE_BYTES, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return 2;
	for (int i = 0; i < FILE_BYTES; i++)
		if (p[i])
			return 3;
	return 0;
}

/* Return: 0 if there is an empty target, as from the page cache */
static int try_link(const char *dir, const char *name)
{
	char path[64], target[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return readlink(path, target, sizeof(target)) > 0 ? 2 : 0;
}

static void look(const char *what)
{
	ktap_ok(share_within(LIMIT, try_read, "/mnt", "data.65536"), "%s: a file is read", what);
	ktap_ok(share_within(LIMIT, try_map, "/mnt", "data.65536"), "%s: a file is mapped", what);
	ktap_ok(share_within(LIMIT, try_link, "/mnt", "long-link"), "%s: a link is read", what);
}

int main(void)
{
	int disk = open("/dev/harness/blk0", O_RDONLY), pmem = open("/dev/pmem0", O_WRONLY), fd;
	off_t size = dmabuf_image_size(disk);

	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk0", "/mnt") && size <= MAX && dmabuf_fill(image, disk, size) &&
		make_hole("/mnt/data.65536") && make_hole("/mnt/long-link") && !umount("/mnt"), "make an image");
	/* whose checksum is not right any more */
	image[SUPER + 8] &= ~1;
	ktap_ok(pwrite(pmem, image, size, 0) == size && !fsync(pmem), "write it");
	close(pmem);
	ktap_ok(share_plain("/dev/pmem0", "/mnt"), "block device: mount");
	look("block device");
	ktap_ok(!umount("/mnt"), "block device: unmount");
	fd = open("/dev/pmem0", O_RDONLY);
	fd = dmabuf_of_memfd(fd, size, 0);
	ktap_ok(!mount("/dev/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "DAX: mount");
	look("DAX");
	ktap_ok(!umount("/mnt"), "DAX: unmount");
	ktap_ok(dmabuf_mount(fd, "/mnt", NULL), "dma-buf: mount");
	look("dma-buf");
	ktap_ok(!umount("/mnt"), "dma-buf: unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

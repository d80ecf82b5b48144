// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a packed inode with a name and a fingerprint is not read by way of what it shares
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP
 * image: frag share base -zlz4
 * device: blk:frag
 * cpus: 2
 * timeout: 60
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dmabuf.h"
#include "ktap.h"
#include "share.h"
#include "system.h"

#define SUPER	1024
#define MAX	(8 << 20)

static char image[MAX];

/* where the map header of a compressed file is */
static uint64_t *header(uint64_t nid)
{
	uint64_t at = (uint64_t)le32toh(*(uint32_t *)(image + SUPER + 40)) * 4096 + nid * 32;
	unsigned int count = le16toh(*(uint16_t *)(image + at + 2));

	at += (image[at] & 1 ? 64 : 32) + (count ? 12 + 4 * (count - 1) : 0);
	return (uint64_t *)(image + (at + 7) / 8 * 8);
}

/* to be killed if it does not come back */
static int try_read(const char *dir, const char *name)
{
	share_read_at(dir, name, 0);
	return 0;
}

int main(void)
{
	int disk = open("/dev/harness/blk0", O_RDONLY), fd, one, two;
	off_t size = dmabuf_image_size(disk);
	struct stat a, b;
	uint64_t *h;

	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk0", "/mnt") && size <= MAX && dmabuf_fill(image, disk, size) &&
		!stat("/mnt/same.1", &a) && !stat("/mnt/same.2", &b), "read an image");
	umount("/mnt");
	h = header(a.st_ino);
	/* each page is the next one of the packed inode, which is another file of equal content */
	*h = htole64(1ULL << 63 | 4096);
	*(uint64_t *)(image + SUPER + 96) = htole64(b.st_ino);
	*(uint32_t *)(image + SUPER + 80) |= htole32(0x20);
	/* no checksum, and names of xattrs are where they were */
	image[SUPER + 8] = (image[SUPER + 8] & ~1) | 0x10;

	mkdir("/ram", 0755);
	ktap_ok(!mount("ramfs", "/ram", "ramfs", 0, NULL), "mount ramfs");
	fd = open("/ram/image", O_CREAT | O_WRONLY, 0600);
	ktap_ok(write(fd, image, size) == size && !close(fd), "write it");
	ktap_ok(share_mount("/ram/image", "/mnt", NULL), "mount it");
	one = share_open("/mnt", "same.1");
	two = share_open("/mnt", "same.2");
	ktap_ok(one >= 0 && two >= 0, "open both");
	ktap_ok(share_within(10, try_read, "/mnt", "same.1"), "the first is read, or is not");
	close(one);
	close(two);
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

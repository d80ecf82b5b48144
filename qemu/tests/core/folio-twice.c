// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a block of an image in a file that is compressed data and metadata at once harms nobody
 * config: EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP
 * series: 1-fixes/????-erofs-keep-the-state-of-compressed-folios-when-metad.patch
 * image: lz4 share base -zlz4 -Elegacy-compress
 * device: blk:lz4
 * timeout: 60
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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
#define BLOCK	4096

static char image[MAX];

int main(void)
{
	int disk = open("/dev/harness/blk0", O_RDONLY), fd;
	off_t size = dmabuf_image_size(disk);
	uint32_t block, meta, indexes = 0, names = 0, last;
	static char buffer[65536];
	struct stat a, b;
	char *inode;
	ssize_t n;

	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk0", "/mnt") && size <= MAX - BLOCK && dmabuf_fill(image, disk, size) &&
		!stat("/mnt/f.65536", &a) && !stat("/mnt/same.1", &b), "read an image");
	/* 0 if there is none */
	block = place_of("/mnt/f.65536") / BLOCK;
	umount("/mnt");
	size = (size + BLOCK - 1) / BLOCK * BLOCK;
	last = size / BLOCK;
	meta = le32toh(*(uint32_t *)(image + SUPER + 40));

	/* /f.65536 begins in half a block at the end of the file */
	inode = image + (uint64_t)meta * BLOCK + a.st_ino * 32;
	for (uint32_t *p = (uint32_t *)inode; block && p < (uint32_t *)(inode + 1024); p += 2)
		if (le32toh(p[1]) == block) {
			p[1] = htole32(last);
			indexes++;
			break;
		}
	/* where the inode of /same.1 is, too */
	memcpy(image + size, image + (uint64_t)meta * BLOCK + b.st_ino * 32, BLOCK / 2);
	for (char *p = image; p < image + size; p += 4)
		if (le64toh(*(uint64_t *)p) == b.st_ino && p[10] == 1 && !p[11]) {
			*(uint64_t *)p = htole64(((uint64_t)last - meta) * (BLOCK / 32));
			names++;
		}
	image[SUPER + 8] &= ~1;
	printf("# block %u of %u, %u indexes, %u names\n", block, last, indexes, names);
	ktap_ok(indexes && names, "change it");

	mkdir("/ram", 0755);
	ktap_ok(!mount("ramfs", "/ram", "ramfs", 0, NULL), "mount ramfs");
	fd = open("/ram/image", O_CREAT | O_WRONLY, 0600);
	ktap_ok(write(fd, image, size + BLOCK / 2) == size + BLOCK / 2 && !close(fd), "write it");
	ktap_ok(!mount("/ram/image", "/mnt", "erofs", MS_RDONLY, NULL), "mount it");
	n = share_read("/mnt", "f.65536", buffer, sizeof(buffer));
	printf("# read: %zd %s\n", n, n < 0 ? strerror(errno) : "");
	ktap_ok(n < 0, "the compressed file cannot be read");
	ktap_ok(!stat("/mnt/same.1", &b), "the other file can be looked at");
	drop_caches("3");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images that say of one of their files that it is the packed inode, for tests in C. */
#ifndef PACKED_H
#define PACKED_H

#include <endian.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "dmabuf.h"

/**
 * packed_forge - copy an image, and let one of its files be a fragment of another one
 * @device: that has the image, of blocks of 4096 bytes
 * @fragment: number of the inode of a compressed file, which becomes a single fragment
 * @at: where that is in the packed inode, in bytes
 * @packed: number of the inode that becomes the packed one
 * @path: of the copy, which is made
 *
 * The fields are those of fs/erofs/erofs_fs.h; the copy has no checksum.
 *
 * Return: whether all of that could be done
 */
static inline bool packed_forge(const char *device, uint64_t fragment, uint64_t at, uint64_t packed, const char *path)
{
	enum { SUPER = 1024, META_BLKADDR = 40, INCOMPAT = 80, PACKED_NID = 96, FRAGMENTS = 0x20,
		COMPAT_SB_CHKSUM = 0x1, COMPAT_PLAIN_XATTR_PFX = 0x10 };
	int from = open(device, O_RDONLY), to = open(path, O_CREAT | O_WRONLY, 0600);
	off_t size = dmabuf_image_size(from);
	char *image = size > 0 ? malloc(size) : NULL;
	bool done = image && to >= 0 && dmabuf_fill(image, from, size);

	if (done) {
		uint64_t inode = (uint64_t)le32toh(*(uint32_t *)(image + SUPER + META_BLKADDR)) * 4096 + fragment * 32;
		unsigned int xattrs = le16toh(*(uint16_t *)(image + inode + 2));
		uint64_t header = inode + (image[inode] & 1 ? 64 : 32) + (xattrs ? 12 + 4 * (xattrs - 1) : 0);

		*(uint64_t *)(image + (header + 7) / 8 * 8) = htole64(1ULL << 63 | at);
		*(uint64_t *)(image + SUPER + PACKED_NID) = htole64(packed);
		*(uint32_t *)(image + SUPER + INCOMPAT) |= htole32(FRAGMENTS);
		/* names of xattrs are where they were */
		image[SUPER + 8] = (image[SUPER + 8] & ~COMPAT_SB_CHKSUM) | COMPAT_PLAIN_XATTR_PFX;
		done = write(to, image, size) == size;
	}
	free(image);
	close(from);
	return !close(to) && done;
}

#endif /* PACKED_H */

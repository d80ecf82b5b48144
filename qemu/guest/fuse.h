/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A FUSE server that has one file, under any name, for tests in C. */
#ifndef FUSE_H
#define FUSE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

/** fuse_mount - mount a FUSE file system. Return: /dev/fuse, for fuse_serve(); -1 on error */
static inline int fuse_mount(const char *dir)
{
	char options[128];
	int dev;

	mknod("/dev/fuse", S_IFCHR | 0600, makedev(10, 229));
	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", dev);
	mkdir(dir, 0755);
	if (dev >= 0 && !mount("fuse", dir, "fuse", 0, options))
		return dev;
	close(dev);
	return -1;
}

/** fuse_answer - answer the request @unique by @error (0 or -errno) and @size bytes of @data */
static inline void fuse_answer(int dev, uint64_t unique, int error, const void *data, size_t size)
{
	struct fuse_out_header out = { .len = sizeof(out) + size, .error = error, .unique = unique };
	struct iovec iov[2] = { { &out, sizeof(out) }, { (void *)data, size } };

	writev(dev, iov, size ? 2 : 1);
}

/** fuse_answer_read - answer a read, whose request @in is, by what the file descriptor @file has; for fuse_serve() */
static inline void fuse_answer_read(int dev, const struct fuse_in_header *in, int file)
{
	static char data[1 << 18];
	const struct fuse_read_in *arg = (const void *)(in + 1);
	ssize_t n = pread(file, data, arg->size, arg->offset);

	fuse_answer(dev, in->unique, n < 0 ? -EIO : 0, data, n < 0 ? 0 : n);
}

static inline struct fuse_attr fuse_attr_of(uint64_t node, off_t size)
{
	struct fuse_attr attr = {
		.ino = node, .nlink = 1, .blksize = 4096,
		.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644,
		.size = node == FUSE_ROOT_ID ? 0 : size,
	};

	return attr;
}

/**
 * fuse_serve - serve until the file system is gone, and end the process
 * @dev:  what fuse_mount() returned
 * @size: of the file, in bytes
 * @read_file: answers a read of @file, which is in a struct fuse_read_in behind @in
 * @file: for @read_file
 */
static inline void fuse_serve(int dev, off_t size,
			      void (*read_file)(int dev, const struct fuse_in_header *in, int file), int file)
{
	static char buffer[1 << 18];
	struct fuse_in_header *in = (void *)buffer;
	const uint64_t node = FUSE_ROOT_ID + 1;

	while (read(dev, buffer, sizeof(buffer)) > 0) {
		switch (in->opcode) {
		case FUSE_INIT: {
			struct fuse_init_out out = { .major = 7, .minor = 31, .max_write = 131072 };

			fuse_answer(dev, in->unique, 0, &out, sizeof(out));
			break;
		}
		case FUSE_LOOKUP: {
			struct fuse_entry_out out = { .nodeid = node, .entry_valid = 3600, .attr_valid = 3600,
						      .attr = fuse_attr_of(node, size) };

			fuse_answer(dev, in->unique, 0, &out, sizeof(out));
			break;
		}
		case FUSE_GETATTR: {
			struct fuse_attr_out out = { .attr_valid = 3600, .attr = fuse_attr_of(in->nodeid, size) };

			fuse_answer(dev, in->unique, 0, &out, sizeof(out));
			break;
		}
		case FUSE_OPEN: {
			struct fuse_open_out out = { .fh = 1, .open_flags = FOPEN_KEEP_CACHE };

			fuse_answer(dev, in->unique, 0, &out, sizeof(out));
			break;
		}
		case FUSE_READ:
			read_file(dev, in, file);
			break;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
			break;
		case FUSE_FLUSH:
		case FUSE_RELEASE:
			fuse_answer(dev, in->unique, 0, NULL, 0);
			break;
		default:
			fuse_answer(dev, in->unique, -ENOSYS, NULL, 0);
		}
	}
	_exit(0);
}

#endif /* FUSE_H */

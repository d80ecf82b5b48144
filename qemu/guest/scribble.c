// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scribble - try to write to a read-only image by every road there is
 *
 * usage: scribble MOUNTPOINT NODE ADDRESS
 *
 *   MOUNTPOINT  where the image is mounted
 *   NODE        its device: a block device, or a DAX device in fsdev mode
 *   ADDRESS     guest-physical address of the image's first byte (hexadecimal)
 *
 * Each road that names a place in the image writes a mark of its own into the
 * first 1,024 bytes, which EROFS leaves unused (its superblock starts at byte
 * 1024), so that the host can look for it and nothing is lost if a road turns
 * out to be open.  Prints one JSON array of objects:
 *
 *	road	what was tried
 *	errno	0 if the kernel took the write, else the name of the error
 *	offset	place of the mark in the image, in bytes; -1 if it has none
 *	mark	the text that was written there
 *
 * That the kernel took a write does not mean that it reached the image: memory
 * that the host gave read-only swallows it.  Only the host can tell.
 *
 * Exit status: 0 all roads were tried, 2 usage.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR		512
#define MARK_BYTES	64
/* Mapped at once: device_dax maps nothing that is not aligned to it. */
#define MAP_BYTES	(2UL << 20)
#define DAX_DRIVERS	"/sys/bus/dax/drivers/"

static const char *mountpoint, *node;
static unsigned long long address;
static char mark[MARK_BYTES];

static int write_all(int fd, const void *buf, size_t len, off_t at)
{
	ssize_t n = pwrite(fd, buf, len, at);

	if (n < 0)
		return errno;
	return (size_t)n == len ? 0 : EIO;
}

/* A new file in the root directory. */
static int create_file(off_t at)
{
	char path[4096];
	int fd;

	(void)at;
	snprintf(path, sizeof(path), "%s/.scribble", mountpoint);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int change_root(off_t at)
{
	(void)at;
	return chmod(mountpoint, 0700) ? errno : 0;
}

static int remount(off_t at)
{
	(void)at;
	return mount(NULL, mountpoint, NULL, MS_REMOUNT, NULL) ? errno : 0;
}

static int set_node_writable(off_t at)
{
	int fd = open(node, O_RDONLY | O_CLOEXEC), off = 0, ret;

	(void)at;
	if (fd < 0)
		return errno;
	ret = ioctl(fd, BLKROSET, &off) ? errno : 0;
	close(fd);
	return ret;
}

static int write_node(off_t at)
{
	int fd = open(node, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return errno;
	ret = write_all(fd, mark, MARK_BYTES, at);
	if (!ret && fsync(fd))
		ret = errno;
	close(fd);
	return ret;
}

static int write_node_direct(off_t at)
{
	int fd = open(node, O_WRONLY | O_DIRECT | O_CLOEXEC), ret;
	void *buf;

	if (fd < 0)
		return errno;
	if (posix_memalign(&buf, SECTOR, SECTOR)) {
		close(fd);
		return ENOMEM;
	}
	memset(buf, 0, SECTOR);
	memcpy(buf, mark, MARK_BYTES);
	ret = write_all(fd, buf, SECTOR, at);
	if (!ret && fsync(fd))
		ret = errno;
	free(buf);
	close(fd);
	return ret;
}

/* Map @path from @start, a multiple of 2 MiB, and write the mark at @at from there. */
static int write_mapped(const char *path, off_t start, off_t at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), ret = 0;
	char *p;

	if (fd < 0)
		return errno;
	p = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, start);
	if (p == MAP_FAILED) {
		ret = errno;
	} else {
		memcpy(p + at, mark, MARK_BYTES);
		if (msync(p, MAP_BYTES, MS_SYNC) && errno != EINVAL)
			ret = errno;
		munmap(p, MAP_BYTES);
	}
	close(fd);
	return ret;
}

static int map_node(off_t at)
{
	return write_mapped(node, 0, at);
}

static int map_dev_mem(off_t at)
{
	return write_mapped("/dev/mem", address, at);
}

static int write_dev_mem(off_t at)
{
	int fd = open("/dev/mem", O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return errno;
	ret = write_all(fd, mark, MARK_BYTES, address + at);
	close(fd);
	return ret;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return errno;
	ret = write_all(fd, text, strlen(text), 0);
	close(fd);
	return ret;
}

/* Take the device from the file system's driver for the one that maps writably. */
static int give_to_device_dax(off_t at)
{
	char *path = realpath(node, NULL), *name;
	int ret;

	if (!path)
		return errno;
	name = strrchr(path, '/') + 1;
	ret = write_text(DAX_DRIVERS "fsdev_dax/unbind", name);
	if (!ret)
		ret = write_text(DAX_DRIVERS "device_dax/new_id", name);
	free(path);
	return ret ?: write_mapped(node, 0, at);
}

/* @type: S_IFBLK or S_IFCHR if only such a node has this road, else 0 */
static const struct road {
	const char *name;
	int (*try)(off_t at);
	off_t offset;
	mode_t type;
} roads[] = {
	{ "create a file", create_file, -1, 0 },
	{ "change a mode", change_root, -1, 0 },
	{ "remount read-write", remount, -1, 0 },
	{ "mark the block device writable", set_node_writable, -1, S_IFBLK },
	{ "give the DAX device to device_dax", give_to_device_dax, 256, S_IFCHR },
	{ "write to the device node", write_node, 0, 0 },
	{ "map the device node", map_node, 64, 0 },
	{ "write to /dev/mem", write_dev_mem, 128, 0 },
	{ "map /dev/mem", map_dev_mem, 192, 0 },
	{ "write to the device node with O_DIRECT", write_node_direct, SECTOR, 0 },
};

int main(int argc, char **argv)
{
	size_t count = sizeof(roads) / sizeof(*roads);
	size_t tried = 0;
	struct stat st;
	char *end;

	if (argc != 4 || (address = strtoull(argv[3], &end, 16), *end)) {
		fprintf(stderr, "usage: scribble MOUNTPOINT NODE ADDRESS\n");
		return 2;
	}
	mountpoint = argv[1];
	node = argv[2];
	if (stat(node, &st))
		err(2, "%s", node);

	printf("[");
	for (size_t i = 0; i < count; i++) {
		int ret;

		if (roads[i].type && roads[i].type != (st.st_mode & S_IFMT))
			continue;
		memset(mark, 0, sizeof(mark));
		snprintf(mark, sizeof(mark), "scribble was here: %s", roads[i].name);
		ret = roads[i].try(roads[i].offset);
		printf("%s{\"road\": \"%s\", \"errno\": \"%s\", \"offset\": %lld, \"mark\": \"%s\"}",
		       tried++ ? ", " : "", roads[i].name, ret ? strerrorname_np(ret) : "0",
		       (long long)roads[i].offset, mark);
	}
	printf("]\n");
	return 0;
}

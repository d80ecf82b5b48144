// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a FUSE server that moves pages of a shared file into its answers takes them from no other file
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE FUSE_FS
 * image: base share base
 * device: blk:base
 * device: blk:base
 * cpus: 2
 * timeout: 60
 *
 * splice(2) with SPLICE_F_MOVE into /dev/fuse steals pages from the page cache, for which
 * the server needs no right but to read the file.
 */
#include <linux/fuse.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "ktap.h"
#include "share.h"

#define NAME	"f.4096"
#define PAGE	4096
#define ROOT	FUSE_ROOT_ID
#define FILE_ID	2

static volatile int *moved;	/* answers that the kernel took */

static void answer(int dev, uint64_t unique, int error, const void *data, size_t size)
{
	struct fuse_out_header out = { .len = sizeof(out) + size, .error = error, .unique = unique };
	struct iovec iov[2] = { { &out, sizeof(out) }, { (void *)data, size } };

	writev(dev, iov, size ? 2 : 1);
}

static struct fuse_attr attr_of(uint64_t node, off_t size)
{
	struct fuse_attr attr = {
		.ino = node, .nlink = 1, .blksize = 4096,
		.mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0644,
		.size = node == ROOT ? 0 : size,
	};

	return attr;
}

/* Answer by a page of @file. */
static void answer_page(int dev, uint64_t unique, int file)
{
	struct fuse_out_header out = { .len = sizeof(out) + PAGE, .unique = unique };
	loff_t pos = 0;
	int ends[2];

	if (!pipe(ends) && write(ends[1], &out, sizeof(out)) == sizeof(out) &&
	    splice(file, &pos, ends[1], NULL, PAGE, 0) == PAGE &&
	    splice(ends[0], NULL, dev, NULL, sizeof(out) + PAGE, SPLICE_F_MOVE) == (ssize_t)sizeof(out) + PAGE)
		++*moved;
	close(ends[0]);
	close(ends[1]);
}

static void serve(int dev, int file)
{
	static char buffer[1 << 18];
	off_t size = PAGE;
	struct fuse_in_header *in = (void *)buffer;

	while (read(dev, buffer, sizeof(buffer)) > 0) {
		switch (in->opcode) {
		case FUSE_INIT: {
			struct fuse_init_out out = { .major = 7, .minor = 31, .max_write = 131072 };

			answer(dev, in->unique, 0, &out, sizeof(out));
			break;
		}
		case FUSE_LOOKUP: {
			struct fuse_entry_out out = { .nodeid = FILE_ID, .entry_valid = 3600, .attr_valid = 3600,
						      .attr = attr_of(FILE_ID, size) };

			answer(dev, in->unique, 0, &out, sizeof(out));
			break;
		}
		case FUSE_GETATTR: {
			struct fuse_attr_out out = { .attr_valid = 3600, .attr = attr_of(in->nodeid, size) };

			answer(dev, in->unique, 0, &out, sizeof(out));
			break;
		}
		case FUSE_OPEN: {
			struct fuse_open_out out = { .fh = 1, .open_flags = FOPEN_KEEP_CACHE };

			answer(dev, in->unique, 0, &out, sizeof(out));
			break;
		}
		case FUSE_READ:
			answer_page(dev, in->unique, file);
			break;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
			break;
		case FUSE_FLUSH:
		case FUSE_RELEASE:
			answer(dev, in->unique, 0, NULL, 0);
			break;
		default:
			answer(dev, in->unique, -ENOSYS, NULL, 0);
		}
	}
	_exit(0);
}

static char good[PAGE], got[PAGE], other[3000000];

int main(void)
{
	char options[128];
	pid_t server;
	int a, dev;

	ktap_begin();
	moved = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	mknod("/dev/fuse", S_IFCHR | 0600, makedev(10, 229));
	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", dev);
	mkdir("/box", 0755);
	ktap_ok(dev >= 0 && !mount("fuse", "/box", "fuse", 0, options), "mount a FUSE file system");
	ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL) && share_mount("/dev/harness/blk1", "/b", NULL),
		"mount two images");
	a = share_open("/a", NAME);
	ktap_ok(pread(a, good, PAGE, 0) == PAGE, "the first one reads a file");
	server = fork();
	if (!server)
		serve(dev, share_open("/b", NAME));
	close(dev);
	/* lists of the CPUs let go what they have just put into the cache */
	share_read("/a", "f.3000000", other, sizeof(other));
	write_to("/proc/sys/vm/compact_memory", "1");
	ktap_eq(share_cached("/a", NAME), 1, "its page is cached");
	ktap_ok(share_read("/box", "x", got, PAGE) == PAGE && !memcmp(got, good, PAGE) && *moved == 1,
		"who reads from a server gets the page of the second one");
	ktap_eq(share_cached("/a", NAME), 1, "the page that the first one uses is still cached");
	ktap_ok(pread(a, got, PAGE, 0) == PAGE && !memcmp(got, good, PAGE), "and is what it was");
	close(a);
	umount("/box");
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: an image in a file whose server gives nothing for metadata and is shorter then: an error, no zeroes
 * series: 1-fixes
 * config: EROFS_FS_BACKED_BY_FILE FUSE_FS
 * image: packed share base -zlz4hc -C65536
 * device: blk:packed
 * timeout: 120
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse.h"
#include "ktap.h"
#include "share.h"
#include "system.h"

#define SIZE	511		/* all of it is an inline tail, so read as metadata is */
#define NAME	"f.511"

static volatile bool *nothing;

static void read_image(int dev, const struct fuse_in_header *in, int disk)
{
	if (*nothing)
		fuse_answer(dev, in->unique, 0, NULL, 0);
	else
		fuse_answer_read(dev, in, disk);
}

int main(void)
{
	int disk = open("/dev/harness/blk0", O_RDONLY), dev, fd;
	char want[SIZE], got[SIZE];
	pid_t server;
	ssize_t n;

	ktap_begin();
	nothing = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ktap_ok(share_plain("/dev/harness/blk0", "/a") && share_read("/a", NAME, want, SIZE) == SIZE && !umount("/a"),
		"what it has");
	dev = fuse_mount("/box");
	server = fork();
	if (!server)
		fuse_serve(dev, lseek(disk, 0, SEEK_END), read_image, disk);
	close(dev);
	ktap_ok(share_plain("/box/image", "/a"), "mount the image in a file of FUSE");
	fd = open("/a/" NAME, O_RDONLY);
	drop_caches("1");
	*nothing = true;
	n = pread(fd, got, SIZE, 0);
	/* EUCLEAN of who comes after the file has become shorter */
	ktap_ok(n < 0 && (errno == EIO || errno == EUCLEAN), "a read whose metadata is not there fails (%zd, %s)", n,
		strerror(errno));
	*nothing = false;
	close(fd);
	ktap_ok(!umount("/a"), "unmount");
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	umount("/box");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

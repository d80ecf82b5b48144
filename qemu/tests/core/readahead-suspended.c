// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: readahead of compressed data waits for a disk that is suspended for a moment, and does not fail
 * config: EROFS_FS_ZIP BLK_DEV_DM
 * image: lz4 share base -zlz4 -C65536
 * device: blk:lz4
 * cpus: 2
 * timeout: 60
 *
 * Others can have come to wait for the same physical clusters: they would fail with it.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dm.h"
#include "ktap.h"
#include "pages.h"
#include "share.h"
#include "system.h"

#define NAME	"f.3000000"
#define SIZE	3000000

static char text[SIZE];

static int read_ahead(const char *dir, const char *name)
{
	int fd = share_open(dir, name);

	return fd < 0 || posix_fadvise(fd, 0, SIZE, POSIX_FADV_WILLNEED);
}

int main(void)
{
	volatile char *p;
	char disk[32];
	int fd;

	ktap_begin();
	mkdir("/a", 0755);
	ktap_ok(dm_create("d", "/dev/harness/blk0", "linear", "", disk) &&
		!mount(disk, "/a", "erofs", MS_RDONLY, "cache_strategy=disabled"), "mount a disk of device-mapper");
	ktap_ok(share_read("/a", NAME, text, SIZE) == SIZE, "read a file, so that its metadata is there");
	fd = share_open("/a", NAME);
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	ktap_eq(resident(p, SIZE), 0, "nothing of its data is");
	ktap_ok(dm_hang("d"), "suspend the disk");
	ktap_ok(share_within(10, read_ahead, "/a", NAME), "ask for readahead");
	ktap_eq(resident(p, SIZE), 0, "it waits");
	ktap_ok(dm_go("d"), "resume the disk");
	for (int tries = 0; tries < 100 && !resident(p, SIZE); tries++)
		usleep(100000);
	ktap_ok(ktap_is(resident(p, SIZE), >, 0), "pages have been read then");
	munmap((void *)p, SIZE);
	close(fd);
	ktap_ok(!umount("/a") && dm_remove("d"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

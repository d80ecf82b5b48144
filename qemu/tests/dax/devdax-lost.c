// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that was lost while device_dax had the device is known to who mounts it
 * series: 1-fixes/????-nd_pmem-remember-memory-errors.patch
 * config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_PMEM X86_PMEM_LEGACY MEMORY_FAILURE HWPOISON_INJECT
 * image: tree tree -Enoinline_data
 * device: blk:tree
 * append: memmap=16M!128M
 * timeout: 60
 */
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "devdax.h"
#include "ktap.h"
#include "pages.h"
#include "system.h"

#define FILE_NAME	"/mnt/data.65536"
#define BAD	3

int main(void)
{
	int64_t place = 0;
	int fd, status;
	char c;
	pid_t pid;

	ktap_begin();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(!mount("/dev/harness/blk0", "/mnt", "erofs", MS_RDONLY, NULL) && (place = place_of(FILE_NAME)) > 0 &&
		!umount("/mnt"), "find where a file is");
	ktap_ok(!fill(), "write an image and an info block");
	place += DATA + BAD * 4096;
	driver(BUS_ND "nd_pmem/unbind", "namespace0.0");
	driver(BUS_ND "nd_pmem/bind", "namespace0.0");
	ktap_ok(image_can_be_mapped() && is_bound("device_dax"), "it is a DAX device, of device_dax");
	pid = fork();
	if (!pid) {
		volatile char *p;

		fd = open(NODE, O_RDWR);
		p = mmap(NULL, 8 << 20, PROT_READ, MAP_SHARED, fd, 0);
		c = p[place - DATA];
		for (;;)
			pause();
	}
	usleep(500000);
	ktap_ok(page_poison((128ULL << 20 >> 12) + place / 4096), "lose a page that somebody has mapped");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "fsdev_dax/bind", "dax0.0"),
		"give it to fsdev_dax");
	ktap_ok(!mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	fd = open(FILE_NAME, O_RDONLY);
	ktap_fails(pread(fd, &c, 1, BAD * 4096) < 0, EIO, "a read of it fails");
	close(fd);
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: pages of files that share chunks are free again once nobody has them mapped
 * config: EROFS_FS_RAMDAX
 * image: chunks chunks --chunksize=4096
 * device: ramdax:chunks
 * cpus: 2
 * timeout: 120
 *
 * Two processes map, touch and unmap two files of the same chunks while inodes are
 * reclaimed.  If a count of users of a page is lost, the device goes with pages in use.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "carveout.h"
#include "ktap.h"
#include "system.h"

#define SECONDS		20
#define SIZE		4194304

/* Return: rounds that were made, 0 for an error. */
static int map_again_and_again(const char *path)
{
	double end = seconds_now() + SECONDS;
	int rounds = 0;

	for (; seconds_now() < end; rounds++) {
		int fd = open(path, O_RDONLY);
		char *p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);

		close(fd);
		if (p == MAP_FAILED)
			return 0;
		for (size_t at = 0; at < SIZE; at += 4096)
			(void)*(volatile char *)(p + at);
		munmap(p, SIZE);
		drop_inodes();
	}
	return rounds;
}

int main(void)
{
	int status, other;
	pid_t pid;

	ktap_begin();
	if (!ktap_ok(!mount("/dev/dax0.0", "/mnt", "erofs", MS_RDONLY, NULL), "mount"))
		return ktap_end();
	pid = fork();
	if (!pid)
		_exit(!map_again_and_again("/mnt/huge2"));
	other = map_again_and_again("/mnt/huge1");
	ktap_ok(waitpid(pid, &status, 0) == pid && !status && other > 1,
		"two processes map files of the same chunks, %d times", other);
	drop_inodes();
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(carveout_driver("unbind", 0), "remove the device");
	ktap_ok(!times_said("still in use"), "no page of it is in use");
	ktap_ok(carveout_driver("bind", 0), "its memory can be used again");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

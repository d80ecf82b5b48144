// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a lost page of a block device with DAX is still known after it was mounted again, or its driver bound again
 * series: 1-fixes/????-nd_pmem-remember-memory-errors.patch
 * config: EROFS_FS_RAMDAX MEMORY_FAILURE PAGE_SIZE_4KB
 * image: tree tree -Enoinline_data
 * device: pmem:tree
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lost.h"

#define FILE_NAME	"/mnt/data.65536"
#define BAD	3
#define ND_PMEM	"/sys/bus/nd/drivers/nd_pmem/"

int main(void)
{
	int fd, status = 0;
	pid_t pid;

	ktap_begin();
	ktap_ok(!mount("/dev/harness/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount");
	fd = open(FILE_NAME, O_RDONLY | O_CLOEXEC);
	pid = fork();
	if (!pid) {
		char *p = mmap(NULL, 65536, PROT_READ, MAP_SHARED, fd, 0);

		(void)*(volatile char *)(p + BAD * 4096);
		madvise(p + BAD * 4096, 4096, MADV_HWPOISON);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	close(fd);
	ktap_eq(lost_error(FILE_NAME, BAD * 4096), EIO, "a read fails");
	ktap_ok(!umount("/mnt") && !mount("/dev/harness/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount again");
	ktap_eq(lost_error(FILE_NAME, BAD * 4096), EIO, "a read fails");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(write_to(ND_PMEM "unbind", "namespace0.0") && write_to(ND_PMEM "bind", "namespace0.0"), "unbind and bind");
	wait_for_file("/dev/pmem0", 1);
	ktap_ok(!mount("/dev/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount");
	ktap_eq(lost_error(FILE_NAME, BAD * 4096), EIO, "a read fails");
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who uses a younger image does not notice that the device of an older one, which provides, is removed
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base --dax
 * device: ramdax:base
 * device: ramdax:base
 * cpus: 2
 * timeout: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "carveout.h"
#include "ktap.h"
#include "share.h"
#include "sigbus.h"

#define NAME	"f.3000000"
#define BYTES	3000000

static int faults(volatile bool *stop)
{
	volatile char *p = share_map("/b", NAME, BYTES);

	while (!*stop) {
		madvise((void *)p, BYTES, MADV_DONTNEED);
		for (long i = 0; i < BYTES; i += 65536)
			if (gives_sigbus(p + i))
				return 42;
	}
	return 0;
}

static int reads(volatile bool *stop)
{
	int fd = share_open("/b", NAME);
	static char buffer[65536];

	while (!*stop)
		for (off_t at = 0; at < BYTES; at += sizeof(buffer))
			if (pread(fd, buffer, sizeof(buffer), at) <= 0)
				return errno;
	return 0;
}

int main(void)
{
	volatile bool *stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status[2] = { -1, -1 };
	pid_t pid[2];

	ktap_begin();
	ktap_ok(share_mount("/dev/harness/ramdax0", "/a", "dax=always") &&
		share_mount("/dev/harness/ramdax1", "/b", "dax=always"), "mount two");
	close(share_open("/a", NAME));
	close(share_open("/b", NAME));
	pid[0] = fork();
	if (!pid[0]) {
		sigbus_catch();
		_exit(faults(stop));
	}
	pid[1] = fork();
	if (!pid[1])
		_exit(reads(stop));
	sleep(2);
	ktap_ok(carveout_driver("unbind", 0), "the device of the older one is removed");
	sleep(1);
	*stop = true;
	for (int i = 0; i < 2; i++)
		status[i] = share_end(pid[i], 10);
	ktap_ok(!status[0], "who faults in the younger one gets its pages (status %#x)", status[0]);
	ktap_ok(!status[1], "who reads the younger one gets its bytes (errno %d)", status[1] >> 8);
	ktap_eq(share_counter(NULL, "failed"), 0, "nothing has failed");
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

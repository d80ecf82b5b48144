// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a fault in a shared file on DAX ends with SIGBUS if its only mount has lost its device
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base --dax
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

int main(void)
{
	int status = -1, i;
	pid_t pid;

	ktap_begin();
	ktap_ok(share_mount("/dev/harness/ramdax0", "/a", "dax=always"), "mount");
	int fd = open("/a/f.300001", O_RDONLY);
	volatile char *p = mmap(NULL, 300001, PROT_READ, MAP_SHARED, fd, 0);
	ktap_ok(p != MAP_FAILED && !gives_sigbus(p), "map");
	ktap_ok(carveout_driver("unbind", 0), "unbind");
	pid = fork();
	if (!pid) {
		sigbus_catch();
		_exit(gives_sigbus(p) ? 42 : 43);
	}
	for (i = 0; i < 100 && waitpid(pid, &status, WNOHANG) != pid; i++)
		usleep(100000);
	ktap_ok(status == 42 << 8, "SIGBUS (status %#x after %d ms)", status, i * 100);
	if (i == 100) {
		kill(pid, SIGKILL);
		for (i = 0; i < 50 && waitpid(pid, &status, WNOHANG) != pid; i++)
			usleep(100000);
		ktap_ok(ktap_is(i, <, 50), "it can be killed");
	}
	ktap_fails(pread(fd, (char[1]){ 0 }, 1, 0) < 0, EIO, "read gives EIO");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who reads files while nd_pmem is unbound gets bytes or EIO, and the kernel goes on
 * config: FS_DAX
 * image: base share base --dax
 * device: pmem:base
 * cpus: 2
 * timeout: 120
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "system.h"

/* the window is a few instructions of dax_direct_access(): two of three runs without the fix hit it */
#define SECONDS	15
#define READERS	2
#define SIZE	3000000

/* Read a byte of each page until an error. Exits with 0 if that is EIO, or the mount has no claim. */
static void read_on(pid_t parent)
{
	int fd = open("/mnt/f.3000000", O_RDONLY);
	bool claimed = !access("/sys/fs/erofs/pmem0/dax/read_bytes", F_OK);
	char c;

	die_with(parent);
	for (off_t at = 0; pread(fd, &c, 1, at % SIZE) == 1; at += 4096)
		;
	_exit(errno == EIO || !claimed ? 0 : errno);
}

/* Mount, unbind beside readers, bind. Returns whether all went as it has to. */
static bool try(const char *name)
{
	pid_t pids[READERS], parent = getpid();
	bool good = true;
	int status;

	wait_for_file("/dev/pmem0", 5);
	if (mount("/dev/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"))
		return false;
	for (int i = 0; i < READERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			read_on(parent);
	}
	usleep(50000 + rand() % 20000);
	good = write_to("/sys/bus/nd/drivers/nd_pmem/unbind", name);
	for (int i = 0; i < READERS; i++) {
		if (waitpid(pids[i], &status, 0) == pids[i] && !status)
			continue;
		ktap_note("a reader ended with status %#x", status);
		good = false;
	}
	return !umount("/mnt") && write_to("/sys/bus/nd/drivers/nd_pmem/bind", name) && good;
}

int main(void)
{
	char device[PATH_MAX];
	bool good = true;
	int rounds = 0;
	double end;

	ktap_begin();
	if (!ktap_ok(realpath("/sys/block/pmem0/device", device), "find the device of /dev/pmem0"))
		return ktap_end();
	for (end = seconds_now() + SECONDS; good && seconds_now() < end; rounds++)
		good = try(basename(device));
	ktap_ok(good && rounds, "readers got bytes or EIO, in %d rounds", rounds);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

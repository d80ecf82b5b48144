// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a device that tells nobody of errors and removal (device-mapper) is asked each time, and its errors are reported
 * config: EROFS_FS_RAMDAX FS_DAX BLK_DEV_DM MEMORY_FAILURE HWPOISON_INJECT
 * image: tree tree --dax
 * image: chunks tree --chunksize=65536 --dsunit=16
 * device: pmem:tree
 * device: pmem:chunks
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dm.h"
#include "ktap.h"
#include "pages.h"
#include "system.h"

static char page[1];

/* Take the driver away from block device @name. */
static bool unbind(const char *name)
{
	char link[64], target[256], *base;
	ssize_t n;

	snprintf(link, sizeof(link), "/sys/block/%s/device", name);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = 0;
	base = strrchr(target, '/') + 1;
	return write_to("/sys/bus/nd/drivers/nd_pmem/unbind", base);
}

/* A child that touches a page of @path after a byte comes by @go.  Return: its pid. */
static pid_t toucher(const char *path, int go, volatile uint64_t *frame)
{
	pid_t pid = fork();
	volatile char *p;
	int fd;

	if (pid)
		return pid;
	/* else only who runs into the page hears of it, which injection does not make */
	prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
	fd = open(path, O_RDONLY);
	p = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, fd, 0);
	page[0] = *p;
	*frame = page_frame(p);
	if (read(go, page, 1) != 1)
		_exit(2);
	page[0] = *p;
	_exit(0);
}

int main(void)
{
	volatile uint64_t *frame;
	char device[32];
	int go[2], status;
	pid_t pid;

	ktap_begin();
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	frame = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	/* chunks can be shared, and nobody would find their users */
	ktap_ok(dm_create("chunks", "/dev/pmem1", "linear", "", device), "device-mapper over pmem1");
	ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount it with DAX");
	ktap_ok(!is_dax("/mnt/data.65536"), "a file of chunks does not use it");
	ktap_ok(!system("cd /mnt && sha256sum -c SHA256SUMS > /dev/null"), "content");
	umount("/mnt");
	dm_remove("chunks");
	ktap_ok(!mount("/dev/pmem1", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount pmem1 itself");
	ktap_ok(is_dax("/mnt/data.65536"), "there it does");
	umount("/mnt");

	ktap_ok(dm_create("plain", "/dev/pmem0", "linear", "", device), "device-mapper over pmem0");
	if (!ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount it with DAX"))
		return ktap_end();
	ktap_ok(is_dax("/mnt/data.65536"), "a plain file uses it");
	ktap_ok(ktap_is(entries_of("/mnt/many"), ==, 602), "a directory can be listed");

	pipe(go);
	pid = toucher("/mnt/data.65536", go[0], frame);
	for (int i = 0; i < 100 && !*frame; i++)
		usleep(100000);
	ktap_ok(*frame && page_poison(*frame), "an error in a page that is mapped is handled");
	if (write(go[1], "", 1) != 1)
		return 1;
	waitpid(pid, &status, 0);
	ktap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "who maps it gets SIGBUS: status %#x", status);
	umount("/mnt");

	/* what has been mapped is nobody's affair here: fs/dax.c has entries without pages then */
	ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount it again");
	ktap_ok(ktap_is(entries_of("/mnt/many"), ==, 602), "a directory can be listed");
	ktap_ok(unbind("pmem0"), "the memory goes away under device-mapper");
	write_to("/proc/sys/vm/drop_caches", "3");
	status = entries_of("/mnt/many");
	ktap_ok(status == -EIO, "a directory gives EIO: %d", status);
	ktap_fails(access("/mnt/bin/script", F_OK), EIO, "a lookup gives EIO");
	ktap_ok(!umount("/mnt"), "unmount");
	ktap_ok(dm_remove("plain"), "remove the device");
	return ktap_end();
}

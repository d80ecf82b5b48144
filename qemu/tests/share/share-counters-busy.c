// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: the counters of a mount are right while it is remounted, frozen, or mounted again
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_RAMDAX
 * image: base share base
 * image: dax share base --dax
 * device: blk:base
 * device: ramdax:dax
 * cpus: 2
 * timeout: 60
 */
#include <sys/prctl.h>

#include "ktap.h"
#include "share.h"

#define LOOKS	2000
#define LARGE	"f.3000000"

static void again(const char *device)
{
	for (;;) {
		mount(NULL, "/m", NULL, MS_REMOUNT | MS_RDONLY, "");
		if (!mount(device, "/n", "erofs", MS_RDONLY, SHARE_OPTIONS))
			umount("/n");
	}
}

static void freeze(const char *device)
{
	int fd = open("/m", O_RDONLY | O_DIRECTORY);

	(void)device;
	for (;;) {
		ioctl(fd, FIFREEZE, 0);
		ioctl(fd, FITHAW, 0);
	}
}

/* How often is the number in a file another one than what it was? */
static int odd(const char *path, void (*meanwhile)(const char *), const char *device)
{
	long long was = share_number(path, 0), now;
	pid_t pid = fork();
	int n = 0;

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		meanwhile(device);
	}
	for (int i = 0; i < LOOKS; i++) {
		now = share_number(path, 0);
		if (now != was && !n++)
			printf("# %s: %lld, was %lld\n", path, now, was);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return was > 0 ? n : -1;
}

int main(void)
{
	static char buffer[3000000];
	char path[PATH_MAX];
	volatile char *p = NULL;

	ktap_begin();
	mkdir("/n", 0755);
	ktap_ok(share_mount("/dev/harness/blk0", "/m", NULL) && share_read("/m", LARGE, buffer, sizeof(buffer)) == 3000000,
		"mount a disk, and read");
	share_counter_path("/dev/harness/blk0", "cached_bytes", path);
	ktap_eq(odd(path, again, "/dev/harness/blk0"), 0, "cached_bytes while it is mounted again and remounted");
	ktap_eq(odd(path, freeze, "/dev/harness/blk0"), 0, "cached_bytes while it is frozen and thawed");
	ktap_ok(!umount("/m"), "unmount it");
	ktap_ok(share_mount("/dev/harness/ramdax0", "/m", NULL) && (p = share_map("/m", LARGE, 3000000)) && *p == *buffer,
		"mount memory, and map a file");
	share_counter_path("/dev/harness/ramdax0", "dax_bytes", path);
	ktap_eq(odd(path, again, "/dev/harness/ramdax0"), 0, "dax_bytes while it is mounted again and remounted");
	strcpy(strstr(path, "inode_share/"), "dax/mapped_bytes");
	ktap_eq(odd(path, again, "/dev/harness/ramdax0"), 0, "mapped_bytes");
	munmap((void *)p, 3000000);
	ktap_ok(!umount("/m"), "unmount it");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

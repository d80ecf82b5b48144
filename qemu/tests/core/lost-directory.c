// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: lost pages of directories and symlinks are read anew
 * config: EROFS_FS MEMORY_FAILURE HWPOISON_INJECT PAGE_SIZE_4KB
 * image: tree tree
 * device: blk:tree
 * timeout: 120
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lost.h"
#include "share.h"

/* The first frame that can be RAM, and the end of the RAM of this guest */
#define FIRST_FRAME	0x100UL
#define END_FRAME	0x10000UL

/* Bytes that come from the disk if all names are listed */
static long long listed(const char *to)
{
	long long before = share_disk_reads("/dev/harness/blk0");
	char command[64];

	snprintf(command, sizeof(command), "ls -lR /mnt > %s", to);
	ktap_ok(!system(command), "list all names");
	return share_disk_reads("/dev/harness/blk0") - before;
}

/* hwpoison's filter: errors are for pages of the files of one file system only */
static void set_filter(const char *name, unsigned int value)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), "/sys/kernel/debug/hwpoison/corrupt-filter-%s", name);
	snprintf(text, sizeof(text), "%u", value);
	ktap_ok(write_to(path, text), "%s is %u", path, value);
}

int main(void)
{
	struct stat st;
	int fd;

	ktap_begin();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(!mount("/dev/harness/blk0", "/mnt", "erofs", MS_RDONLY, NULL) && !stat("/mnt", &st), "mount an image");
	ktap_ok(listed("/tmp/before") > 0, "that reads the disk");
	ktap_eq(listed("/tmp/again"), 0, "once");
	set_filter("dev-major", major(st.st_dev));
	set_filter("dev-minor", minor(st.st_dev));
	set_filter("enable", 1);
	fd = page_errors_open();
	for (uint64_t frame = FIRST_FRAME; frame < END_FRAME; frame++)
		page_error(fd, frame);
	close(fd);
	ktap_ok(times_said("Recovered") > 0 && !times_said("Failed to punch page"), "lost pages leave the page cache");
	ktap_ok(listed("/tmp/after") > 0, "that reads the disk again");
	ktap_ok(!system("cmp /tmp/before /tmp/after"), "the names are the same");
	ktap_ok(!umount("/mnt"), "unmount it");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: 100,000 files whose provider is unmounted are handed over in less than a second
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: many share-forge many
 * image: again share-forge many
 * device: blk:many
 * device: blk:again
 * memory: 1G
 * clock: instructions
 * flavours: fast
 * timeout: 300
 *
 * A second is one of a machine that executes 10^9 instructions in it.
 */
#include "ktap.h"
#include "share.h"

#define FILES	100000

static const char old[] = "/dev/harness/blk0", young[] = "/dev/harness/blk1";

/* Open and close all files of a mount; some are read. Return: how many could be */
static int open_all(const char *dir)
{
	char name[32], byte;
	int n = 0, fd;

	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%d/%d", i / 1000, i % 1000);
		fd = share_open(dir, name);
		n += fd >= 0 && (i % 1000 || read(fd, &byte, 1) == 1);
		close(fd);
	}
	return n;
}

static double unmount(const char *dir)
{
	ktap_ok(share_within(100, share_umount, dir, ""), "unmount %s", dir);
	return share_spent;
}

int main(void)
{
	double without, with;
	int n;

	ktap_begin();
	ktap_ok(share_plain(old, "/a"), "mount without sharing");
	n = open_all("/a");
	ktap_ok(n == FILES, "open all files (got %d, want %d)", n, FILES);
	without = unmount("/a");

	ktap_ok(share_mount(old, "/a", NULL) && share_mount(young, "/b", NULL), "mount two images that share");
	n = open_all("/a");
	ktap_ok(n == FILES, "open all files of the older one (got %d, want %d)", n, FILES);
	n = open_all("/b");
	ktap_ok(n == FILES, "open all files of the younger one (got %d, want %d)", n, FILES);
	ktap_ok(share_counter(NULL, "attached") == 2 * FILES, "all are attached (got %lld, want %d)",
		share_counter(NULL, "attached"), 2 * FILES);
	with = unmount("/a");
	ktap_ok(with - without < 1, "%d files are handed over in less than a second (got %.2f s; unmount with sharing %.2f s, without %.2f s)",
		FILES, with - without, with, without);
	ktap_ok(share_counter(NULL, "provider_switches") == FILES, "each has a new provider (got %lld, want %d)",
		share_counter(NULL, "provider_switches"), FILES);
	ktap_ok(ktap_is(share_counter(young, "attached"), ==, FILES), "the younger one's are attached still");
	n = open_all("/b");
	ktap_ok(n == FILES, "open all files again (got %d, want %d)", n, FILES);
	with = unmount("/b");
	ktap_note("unmount of the last one: %.2f s", with);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

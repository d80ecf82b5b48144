// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: 20,000 files on DAX whose provider is unmounted are handed over in less than a second
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * config: VIRTIO_PMEM FS_DAX
 * image: many many-plain
 * image: again many-plain
 * device: pmem:many
 * device: pmem:again
 * memory: 1G
 * clock: instructions
 * flavours: fast
 * timeout: 300
 *
 * A second is one of a machine that executes 10^9 instructions in it.
 */
#include "ktap.h"
#include "share.h"

#define FILES	20000
#define MAPPED	1

static const char old[] = "/dev/harness/pmem0", young[] = "/dev/harness/pmem1";

/* Open and close all files of a mount; some are read. Return: how many could be */
static int open_all(const char *dir)
{
	char name[32], byte;
	int n = 0, fd;

	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%d/%d", i / 1000, i % 1000);
		fd = share_open(dir, name);
		n += fd >= 0 && (i % 1000 || read(fd, &byte, 1) == 1);
		if (fd >= 0 && MAPPED) {
			volatile char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

			byte = *p;
			munmap((void *)p, 4096);
		}
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
	ktap_ok(share_mount(old, "/a", "dax=always") && share_number("/sys/fs/erofs/pmem0/inode_share/attached", 0) == 0, "mount without sharing");
	n = open_all("/a");
	ktap_ok(n == FILES, "open all files (got %d, want %d)", n, FILES);
	without = unmount("/a");

	ktap_ok(share_mount(old, "/a", "dax=always") && share_mount(young, "/b", "dax=always"), "mount two images that share");
	n = open_all("/a");
	ktap_ok(n == FILES, "open all files of the older one (got %d, want %d)", n, FILES);
	n = open_all("/b");
	ktap_ok(n == FILES, "open all files of the younger one (got %d, want %d)", n, FILES);
	ktap_ok(share_counter(NULL, "attached") == 2 * FILES, "all are attached (got %lld, want %d)",
		share_counter(NULL, "attached"), 2 * FILES);
	with = unmount("/a");
	ktap_ok(with - without < 0.2, "%d files are handed over in less than a second (got %.2f s; unmount with sharing %.2f s, without %.2f s)",
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

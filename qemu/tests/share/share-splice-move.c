// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a FUSE server that moves pages of a shared file into its answers takes them from no other file
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE FUSE_FS
 * image: base share base
 * device: blk:base
 * device: blk:base
 * cpus: 2
 * timeout: 60
 *
 * splice(2) with SPLICE_F_MOVE into /dev/fuse steals pages from the page cache, for which
 * the server needs no right but to read the file.
 */
#include "fuse.h"
#include "ktap.h"
#include "share.h"

#define NAME	"f.4096"
#define PAGE	4096

static volatile int *moved;	/* answers that the kernel took */

/* Answer by a page of @file. */
static void answer_page(int dev, const struct fuse_in_header *in, int file)
{
	struct fuse_out_header out = { .len = sizeof(out) + PAGE, .unique = in->unique };
	loff_t pos = 0;
	int ends[2];

	if (!pipe(ends) && write(ends[1], &out, sizeof(out)) == sizeof(out) &&
	    splice(file, &pos, ends[1], NULL, PAGE, 0) == PAGE &&
	    splice(ends[0], NULL, dev, NULL, sizeof(out) + PAGE, SPLICE_F_MOVE) == (ssize_t)sizeof(out) + PAGE)
		++*moved;
	close(ends[0]);
	close(ends[1]);
}

static char good[PAGE], got[PAGE], other[3000000];

int main(void)
{
	pid_t server;
	int a, dev;

	ktap_begin();
	moved = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	dev = fuse_mount("/box");
	ktap_ok(dev >= 0, "mount a FUSE file system");
	ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL) && share_mount("/dev/harness/blk1", "/b", NULL),
		"mount two images");
	a = share_open("/a", NAME);
	ktap_ok(pread(a, good, PAGE, 0) == PAGE, "the first one reads a file");
	server = fork();
	if (!server)
		fuse_serve(dev, PAGE, answer_page, share_open("/b", NAME));
	close(dev);
	/* lists of the CPUs let go what they have just put into the cache */
	share_read("/a", "f.3000000", other, sizeof(other));
	write_to("/proc/sys/vm/compact_memory", "1");
	ktap_eq(share_cached("/a", NAME), 1, "its page is cached");
	ktap_ok(share_read("/box", "x", got, PAGE) == PAGE && !memcmp(got, good, PAGE) && *moved == 1,
		"who reads from a server gets the page of the second one");
	ktap_eq(share_cached("/a", NAME), 1, "the page that the first one uses is still cached");
	ktap_ok(pread(a, got, PAGE, 0) == PAGE && !memcmp(got, good, PAGE), "and is what it was");
	close(a);
	umount("/box");
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

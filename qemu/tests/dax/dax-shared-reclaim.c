// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that somebody has pinned through one file does not keep another file that has it, too
 * series: 3-memory
 * config: EROFS_FS FS_DAX
 * image: chunks chunks --chunksize=4096
 * device: pmem:chunks
 * cpus: 2
 *
 * dax_break_layout_final(), which file systems call that write, waits until nobody uses
 * the page any more, and nothing can interrupt it.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "share.h"

#define PAGE	4096

/* reclaim inodes; for share_within() */
static int reclaim(const char *unused, const char *unused2)
{
	(void)unused;
	(void)unused2;
	drop_inodes();
	return 0;
}

int main(void)
{
	char wanted[PAGE], got[PAGE];
	volatile char *one, *two;
	struct iovec page;
	int tube[2];

	ktap_begin();
	if (!ktap_ok(!mount("/dev/harness/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount the image"))
		return ktap_end();
	one = share_map("/mnt", "one", PAGE);
	two = share_map("/mnt", "two", PAGE);
	if (!ktap_ok(one && two && one[0] == two[0], "map two files that have a page in common"))
		return ktap_end();
	memcpy(wanted, (char *)one, PAGE);
	page = (struct iovec){ (void *)one, PAGE };
	ktap_ok(!pipe(tube) && vmsplice(tube[1], &page, 1, 0) == PAGE, "pin it through one of them");
	munmap((void *)two, PAGE);
	ktap_ok(share_within(20, reclaim, "", ""), "the inode of the other one can be reclaimed");
	ktap_ok(one[0] == wanted[0] && !memcmp((char *)one, wanted, PAGE), "the page is still mapped through the first one");
	ktap_ok(read(tube[0], got, PAGE) == PAGE && !memcmp(got, wanted, PAGE), "and still in the pipe");
	close(tube[0]);
	close(tube[1]);
	munmap((void *)one, PAGE);
	ktap_ok(share_within(20, share_umount, "/mnt", ""), "unmount");
	return ktap_end();
}

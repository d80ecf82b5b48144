// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: one place of a file is one page, also after device-mapper has put other memory under a mount
 * series: 1-fixes
 * config: EROFS_FS FS_DAX BLK_DEV_DM TRANSPARENT_HUGEPAGE PAGE_SIZE_4KB
 * image: base share base --dax
 * device: pmem:base
 * device: pmem:base
 *
 * Without "fsdax: do not map a page beside the one of a file's entry" a page of the new
 * memory is mapped beside one of the old, and is in no entry of the file, so that
 * nobody unmaps it when its device goes; Linux 7.3 warns in vmf_insert_folio_pmd().
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/uio.h>

#include "dm.h"
#include "ktap.h"
#include "pages.h"
#include "sigbus.h"
#include "system.h"

#define HUGE	(2UL << 20)
#define BOTH	(HUGE + 8192)	/* bytes; a huge page, and behind it small ones */

static bool loads(const volatile char *p)
{
	return !gives_sigbus(p) && page_frame(p);
}

/* Map @fd again. Return: whether the page can be loaded; then it has to be the one that @old has. */
static bool as_before(int fd, const volatile char *old, size_t at, const char *what)
{
	volatile char *p = mmap(NULL, BOTH, PROT_READ, MAP_SHARED, fd, 0);
	bool loaded = loads(p + at), ok = !loaded || (loads(old + at) && page_frame(p + at) == page_frame(old + at));

	ktap_ok(ok, "%s: %s", what, !loaded ? "SIGBUS" : ok ? "one page" : "two pages of one place in a file");
	munmap((void *)p, BOTH);
	return loaded;
}

int main(void)
{
	char device[64];
	volatile char *p;
	struct iovec page;
	uint64_t was;
	int fd, ends[2];

	ktap_begin();
	sigbus_catch();
	ktap_ok(dm_create("over", "/dev/pmem0", "linear", "", device), "device-mapper");
	ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount");
	fd = open("/mnt/f.3000000", O_RDONLY);
	p = mmap(NULL, BOTH, PROT_READ, MAP_SHARED, fd, 0);
	ktap_ok(p != MAP_FAILED && loads(p) && loads(p + HUGE), "its first two MiB, and what follows");
	ktap_eq(page_frame(p + 4096), page_frame(p) + 1, "they are mapped as one");
	was = page_frame(p + HUGE);
	page = (struct iovec){ (void *)(p + HUGE + 4096), 4096 };
	ktap_ok(!pipe(ends) && vmsplice(ends[1], &page, 1, 0) == 4096, "and a page that is used by a pipe");

	ktap_ok(dm_suspend("over", DM_SUSPEND_FLAG) && dm_reload("over", "/dev/pmem1", "linear", ""), "other memory");
	as_before(fd, p, 0, "a huge fault");
	as_before(fd, p, 4096, "a fault in the middle of it");
	ktap_ok(as_before(fd, p, HUGE, "a small one") && page_frame(p + HUGE) != was, "is the new page");
	ktap_ok(!as_before(fd, p, HUGE + 4096, "one that is in use"), "cannot be had");

	ktap_ok(dm_suspend("over", DM_SUSPEND_FLAG) && dm_reload("over", "/dev/pmem0", "linear", ""), "the memory of before");
	ktap_ok(as_before(fd, p, 0, "huge, again"), "can be had");
	ktap_ok(as_before(fd, p, HUGE, "small, again") && page_frame(p + HUGE) == was, "is the one of before");
	ktap_ok(as_before(fd, p, HUGE + 4096, "in use, again"), "can be had");
	close(ends[0]);
	close(ends[1]);
	munmap((void *)p, BOTH);
	close(fd);
	ktap_ok(!umount("/mnt") && dm_remove("over"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

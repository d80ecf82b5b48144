// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that scrubbing has found bad makes a shared file on DAX fail, so that a younger image uses its own copy
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE PAGE_SIZE_4KB
 * image: base share base --dax
 * device: pmem:base
 * device: pmem:base
 */
#include "ktap.h"
#include "share.h"
#include "sigbus.h"

#define READ	"f.300001"
#define MAPPED	"f.3000000"

static char page[4096];

/* Report the first page of a file of the older image as bad, as a scrubber does. */
static bool scrub(const char *path)
{
	int64_t place = place_of(path);
	FILE *f = fopen("/sys/block/pmem0/badblocks", "w");
	bool ok = f && place > 0 && fprintf(f, "%ld 8", (long)(place / 512)) > 0;

	return f && !fclose(f) && ok;
}

static ssize_t read_first(const char *dir)
{
	int fd = share_open(dir, READ);
	ssize_t n = pread(fd, page, sizeof(page), 0);

	n = n < 0 ? -errno : n;
	close(fd);
	return n;
}

static bool mapping_fails(const char *dir)
{
	volatile char *p = share_map(dir, MAPPED, sizeof(page));
	bool fails = gives_sigbus(p);

	munmap((void *)p, sizeof(page));
	return fails;
}

int main(void)
{
	ktap_begin();
	sigbus_catch();
	ktap_ok(share_mount("/dev/pmem0", "/a", "dax=always") && share_mount("/dev/pmem1", "/b", "dax=always"),
		"mount two");
	close(share_open("/a", READ));
	close(share_open("/a", MAPPED));
	ktap_ok(scrub("/a/" READ), "a page of the older one's file is bad");
	ktap_eq(read_first("/b"), -EIO, "it provides, so the younger one gets the error");
	ktap_eq(read_first("/b"), sizeof(page), "opened anew, the younger one has its own copy");
	ktap_ok(scrub("/a/" MAPPED), "a page of another file is bad");
	ktap_ok(mapping_fails("/b"), "who maps it in the younger one gets SIGBUS");
	ktap_ok(!mapping_fails("/b"), "opened anew, the younger one has its own copy");
	ktap_eq(share_counter(NULL, "failed"), 2, "two have failed");
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

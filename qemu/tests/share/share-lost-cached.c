// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a lost page of a file that DAX cannot map is missed in no other page, if it is shared too
 * series: 4-share/????-erofs-share-page-cache-between-files-of-equal-conten.patch
 * config: EROFS_FS_RAMDAX EROFS_FS_PAGE_CACHE_SHARE MEMORY_FAILURE HWPOISON_INJECT
 * image: base share base
 * device: ramdax:base
 */
#include "ktap.h"
#include "pages.h"
#include "share.h"
#include "sigbus.h"

#define NAME	"f.3000000"
#define SIZE	3000000
#define BAD	300

static uint64_t first_frame(void)
{
	FILE *file = fopen("/harness/devices", "r");
	unsigned long long start = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "ramdax0 range %llx", &start) == 1)
			break;
	return start >> 12;
}

/* How many pages of the file give SIGBUS, when they are touched one after the other? */
static int lost(int advice)
{
	volatile char *p = share_map("/a", NAME, SIZE);
	int n = 0;

	drop_caches("1");
	madvise((void *)p, SIZE, advice);
	for (int i = 0; i < (SIZE + 4095) / 4096; i++)
		if (gives_sigbus(p + i * 4096L)) {
			n++;
			if (i != BAD)
				printf("# page %d\n", i);
		}
	munmap((void *)p, SIZE);
	return n;
}

int main(void)
{
	int64_t place;

	ktap_begin();
	sigbus_catch();
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(share_mount("/dev/harness/ramdax0", "/a", NULL), "mount");
	ktap_ok(!is_dax("/a/" NAME), "the file has an inline tail");
	place = place_of("/a/" NAME);
	ktap_ok(place > 0 && first_frame(), "it is at %lld of %#llx", (long long)place, (long long)first_frame());
	ktap_ok(page_poison(first_frame() + place / 4096 + BAD), "lose a page");
	ktap_eq(lost(MADV_NORMAL), 1, "one page gives SIGBUS");
	ktap_eq(lost(MADV_SEQUENTIAL), 1, "one page gives SIGBUS if it is read ahead");
	ktap_eq(lost(MADV_HUGEPAGE), 1, "one page gives SIGBUS with huge pages");
	ktap_ok(!umount("/a"), "unmount");
	return ktap_end();
}

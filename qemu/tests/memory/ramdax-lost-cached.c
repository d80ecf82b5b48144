// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a lost page of a file that DAX cannot map is missed in no other page of a mapping
 * series: 3-memory
 * config: EROFS_FS_RAMDAX MEMORY_FAILURE HWPOISON_INJECT PAGE_SIZE_4KB
 * image: tree tree
 * device: ramdax:tree
 */
#include "lost.h"

int main(void)
{
	ktap_begin();
	ktap_ok(!mount("/dev/harness/ramdax0", "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	lost_alone("/mnt/data.1000003", 1000003, 100);
	return ktap_end();
}

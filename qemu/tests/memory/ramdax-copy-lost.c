// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a copied page of a file that DAX cannot map is read anew, if it is lost while a pipe has it
 * series: 3-memory
 * config: EROFS_FS_RAMDAX MEMORY_FAILURE HWPOISON_INJECT PAGE_SIZE_4KB
 * image: base share base
 * device: ramdax:base
 */
#include "lost.h"

int main(void)
{
	ktap_begin();
	ktap_ok(!mount("/dev/harness/ramdax0", "/mnt", "erofs", MS_RDONLY, NULL), "mount");
	ktap_ok(!is_dax("/mnt/f.511"), "the file has an inline tail");
	lost_pinned("/mnt/f.511", "/mnt/f.511");
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that was lost while its memory was RAM of the kernel is known to who mounts it
 * series: 2-dax/????-dax-kmem-hand-on-which-pages-were-lost-as-system-RAM.patch
 * config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_PMEM DEV_DAX_KMEM X86_PMEM_LEGACY MEMORY_FAILURE HWPOISON_INJECT
 * image: tree tree -Enoinline_data
 * device: blk:tree
 * memory: 1024M
 * append: memmap=256M!512M
 * timeout: 100
 */
#include "kmem.h"

int main(void)
{
	int64_t place;

	ktap_begin();
	place = kmem_begin();
	page_poison(START / 4096 + place / 4096 + BAD);
	ktap_ok(write_to(BLOCK, "offline"), "take it offline");
	kmem_check();
	return ktap_end();
}

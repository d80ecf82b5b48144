// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: reads of images in compressed files that share are not stacked upon each other, whoever provides
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE EROFS_FS_ZIP BLK_DEV_LOOP
 * image: deep deep 14 -zlz4 -C65536
 * device: blk:deep
 * memory: 512M
 * timeout: 120
 *
 * As share-nested-deep, but that files in files share with files on disks there only if they are
 * compressed, and that who is looked up last provides.
 */
#include "deep.h"

int main(void)
{
	ktap_begin();
	deep_read(14, true);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: sharing does not stack reads of images in files upon each other
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE BLK_DEV_LOOP
 * image: deep deep 14
 * device: blk:deep
 * memory: 512M
 * timeout: 120
 *
 * Image K is mounted from a file, /fK, and from a disk that holds a copy of it, /bK.  Both
 * have image K + 1 as a file of equal content, which /fK provides, since it is older; image
 * K + 1 is mounted from /bK.
 */
#include "deep.h"

int main(void)
{
	ktap_begin();
	deep_read(14, false);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file whose disk is gone saves nothing, if another mount provides for it, too
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base
 * device: blk:base
 * device: blk:base
 * device: blk:base
 */
#include "saved.h"

int main(void)
{
	return saved_without(1);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file whose disk is gone is counted as one that saves nothing
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
	return saved_without(0);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RAM at 128 MiB, which a kernel parameter makes specific-purpose, as firmware would.  The test has
 * "append: memmap=64M%128M-1+0xefffffff dax_hmem.region_idle=1": the region's device, dax0.0, has no
 * bytes until somebody gives it some.
 */
#ifndef HMEM_H
#define HMEM_H

#include "devdax.h"

#define HMEM_BYTES	(64L << 20)
#define HMEM_DEVICE	"/sys/bus/dax/devices/dax0.0/"

/** hmem_resize - what an administrator does without daxctl. Return: 0 or an errno */
static inline int hmem_resize(long bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", bytes);
	return driver(HMEM_DEVICE "size", text);
}

#endif

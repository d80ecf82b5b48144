/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Carve-outs for tests in C: the driver that makes DAX devices of them. */
#ifndef CARVEOUT_H
#define CARVEOUT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "system.h"

/**
 * carveout_driver - tell the platform driver something about a range
 * @file:  "bind" or "unbind"
 * @range: number of the range, in the order of the kernel parameter
 *
 * Return: true, or false with errno.
 */
static inline bool carveout_driver(const char *file, int range)
{
	const char *driver = getenv("CARVEOUT_DRIVER");
	char path[128], device[64];

	snprintf(path, sizeof(path), "/sys/bus/platform/drivers/%s/%s", driver, file);
	snprintf(device, sizeof(device), "%s.%d", driver, range);
	return write_to(path, device);
}

#endif

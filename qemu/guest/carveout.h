/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Carve-outs for tests in C: the driver that makes DAX devices of them. */
#ifndef CARVEOUT_H
#define CARVEOUT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "system.h"

/* The file of the platform driver ("bind" or "unbind"), and what to write there for a range */
static inline void carveout_names(char *path, size_t path_size, const char *file,
				  char *device, size_t device_size, int range)
{
	const char *driver = getenv("CARVEOUT_DRIVER");

	snprintf(path, path_size, "/sys/bus/platform/drivers/%s/%s", driver, file);
	snprintf(device, device_size, "%s.%d", driver, range);
}

/**
 * carveout_driver - tell the platform driver something about a range
 * @file:  "bind" or "unbind"
 * @range: number of the range, in the order of the kernel parameter
 *
 * Return: true, or false with errno.
 */
static inline bool carveout_driver(const char *file, int range)
{
	char path[128], device[64];

	carveout_names(path, sizeof(path), file, device, sizeof(device), range);
	return write_to(path, device);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loop devices for tests in C, so that images in files can be on block devices. */
#ifndef LOOP_H
#define LOOP_H

#include <fcntl.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/**
 * loop_attach - make a read-only loop device, which goes with its last user
 * @file:   path of the file
 * @device: gets the path of the device, 32 bytes
 *
 * Return: a descriptor to be closed when the device is in use, or -1.
 */
static inline int loop_attach(const char *file, char *device)
{
	struct loop_config config = { .info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR), fd = open(file, O_RDONLY), loop = -1;

	config.fd = fd;
	snprintf(device, 32, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
	if (fd >= 0)
		loop = open(device, O_RDONLY);
	if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &config)) {
		close(loop);
		loop = -1;
	}
	close(fd);
	close(control);
	return loop;
}

#endif

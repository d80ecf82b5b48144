// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * oci-pread REFERENCE LENGTH [OFFSET...] - read bytes of an image in a registry, as mount.erofs does
 *
 * Prints what the read at each OFFSET (default: 0) returns.  Exit status: 1 if that is more than
 * LENGTH, or if what stands behind the buffer was written to.
 */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "erofs/internal.h"
#include "erofs/io.h"
#include "liberofs_oci.h"

#define BEHIND	(1 << 20)	/* more than what is sent */

int main(int argc, char **argv)
{
	struct ocierofs_config config = { .image_ref = argv[1], .insecure = true };
	size_t len = argc >= 3 ? strtoul(argv[2], NULL, 0) : 0;
	char *buf = calloc(1, len + BEHIND);
	struct erofs_vfile vf;
	int arg = 3, status = 0;
	ssize_t n;
	size_t i;

	if (!buf || !len)
		return 2;
	if (ocierofs_io_open(&vf, &config)) {
		fputs("cannot open it\n", stderr);
		return 2;
	}
	do {
		n = vf.ops->pread(&vf, buf, len, arg < argc ? strtoull(argv[arg], NULL, 0) : 0);
		printf("%zd\n", n);
		if (n > (ssize_t)len)
			status = 1;
	} while (++arg < argc);
	for (i = len; i < len + BEHIND; i++)
		if (buf[i])
			status = 1;
	return status;
}

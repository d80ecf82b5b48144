// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * s3-pread ENDPOINT BUCKET KEY OFFSET LENGTH - read bytes of an object, as mount.erofs does
 *
 * Writes the LENGTH bytes that were read to its output.  Exit status: 1 if the read fails or
 * is short, 2 if the object cannot be opened, 3 if what stands behind the buffer was written to.
 */
#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "erofs/importer.h"
#include "erofs/internal.h"
#include "erofs/io.h"
#include "liberofs_s3.h"

#define BEHIND	(1 << 16)	/* more than what is sent */

int main(int argc, char **argv)
{
	struct erofs_s3 s3 = { .url_style = S3EROFS_URL_STYLE_PATH };
	struct erofs_vfile *vf;
	size_t len, i;
	char *buf;

	if (argc != 6)
		return 2;
	s3.endpoint = argv[1];
	len = strtoul(argv[5], NULL, 0);
	buf = malloc(len + BEHIND);
	if (!buf)
		return 2;
	memset(buf, 'x', len + BEHIND);
	vf = s3erofs_io_open(&s3, argv[2], argv[3]);
	if (IS_ERR(vf))
		return 2;
	if (vf->ops->pread(vf, buf, len, strtoull(argv[4], NULL, 0)) != (ssize_t)len)
		return 1;
	for (i = len; i < len + BEHIND; i++)
		if (buf[i] != 'x')
			return 3;
	fwrite(buf, 1, len, stdout);
	vf->ops->close(vf);
	free(buf);
	return 0;
}

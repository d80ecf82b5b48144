// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gzran - read a gzip file by its zinfo index, as mount.erofs does
 *
 * usage: gzran GZIP ZINFO OFFSET LENGTH		write what is read to stdout
 *        gzran --index GZIP ZINFO		make the index, with spans of 64 KiB
 *
 * lib/gzran.c of the tree is compiled into it.  Exit status: 0, or 1 with the
 * error number on stderr.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "config.h"
#include "erofs/config.h"
#include "lib/gzran.c"


ssize_t erofs_io_pread(struct erofs_vfile *vf, void *buf, size_t len, u64 pos)
{
	ssize_t n = pread(vf->fd, buf, len, pos);

	return n < 0 ? -errno : n;
}

ssize_t erofs_io_pwrite(struct erofs_vfile *vf, const void *buf, u64 pos, size_t len)
{
	ssize_t n = pwrite(vf->fd, buf, len, pos);

	return n < 0 ? -errno : n;
}

ssize_t erofs_io_read(struct erofs_vfile *vf, void *buf, size_t len)
{
	ssize_t n = read(vf->fd, buf, len);

	return n < 0 ? -errno : n;
}

static int fail(const char *what, long err)
{
	fprintf(stderr, "%s: %ld\n", what, err);
	return 1;
}

int main(int argc, char **argv)
{
	struct erofs_vfile in = {}, out = {}, *vf;
	struct stat st;
	char *buf;
	ssize_t n;
	size_t len;

	if (argc == 4 && !strcmp(argv[1], "--index")) {
		struct erofs_gzran_builder *gb;
		char window[EROFS_GZRAN_WINSIZE];

		in.fd = open(argv[2], O_RDONLY);
		out.fd = open(argv[3], O_RDWR | O_CREAT | O_TRUNC, 0666);
		gb = erofs_gzran_builder_init(&in, 65536);
		while ((n = erofs_gzran_builder_read(gb, window)) > 0)
			;
		if (!n)
			n = erofs_gzran_builder_export_zinfo(gb, &out);
		return n ? fail("index", n) : erofs_gzran_builder_final(gb) ? 1 : 0;
	}
	if (argc != 5)
		return 2;
	in.fd = open(argv[1], O_RDONLY);
	out.fd = open(argv[2], O_RDONLY);
	if (in.fd < 0 || out.fd < 0 || fstat(out.fd, &st))
		return fail("open", errno);
	buf = malloc(st.st_size);
	if (!buf || read(out.fd, buf, st.st_size) != st.st_size)
		return fail("read", errno);
	vf = erofs_gzran_zinfo_open(&in, buf, st.st_size);
	free(buf);
	if (IS_ERR(vf))
		return fail("zinfo", PTR_ERR(vf));
	len = strtoull(argv[4], NULL, 0);
	buf = malloc(len);
	n = vf->ops->pread(vf, buf, len, strtoull(argv[3], NULL, 0));
	if (n > 0)
		fwrite(buf, 1, n, stdout);
	free(buf);
	vf->ops->close(vf);
	return n < 0 ? fail("pread", n) : 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mount-file - mount an EROFS image that is a file, without the loop device that busybox puts between
 *
 * usage: mount-file FILE DIR [OPTIONS]
 */
#include <err.h>
#include <sys/mount.h>

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 4)
		errx(2, "usage: mount-file FILE DIR [OPTIONS]");
	if (mount(argv[1], argv[2], "erofs", MS_RDONLY, argv[3]))
		err(1, "%s on %s with %s", argv[1], argv[2], argv[3] ? argv[3] : "no options");
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: shared xattrs of inodes in the metabox are found
 * series: 1-fixes/????-erofs-do-not-look-for-shared-xattrs-in-the-metabox.patch
 * config: EROFS_FS_XATTR EROFS_FS_ZIP BLK_DEV_LOOP
 *
 * mkfs.erofs of these series shares no xattrs in images with a metabox, since kernels without the
 * fix do not find them.  The image is one of the unpatched mkfs.erofs 1.9.4:
 * "-T0 --all-root -Uclear -b512 -m512:lz4 -x1", files f1, f2 and f3 of 2 bytes each, with user.own
 * ("1", "2", "3") and user.shared ("the same for all").
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ktap.h"
#include "loop.h"

static const struct {
	int at, len;
	const char *bytes;
} parts[] = {
	{ 1024, 24,
	  "\xe2\xe1\xf5\xe0\x5d\xc9\x43\x9b\x07\x00\x00\x00\x09\x01\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00" },
	{ 1056, 16,
	  "\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00" },
	{ 1104, 8,
	  "\x81\x01\x00\x00\xff\xff\x00\x00" },
	{ 1136, 8,
	  "\x00\x00\x00\x00\x00\x00\x00\x80" },
	{ 1152, 8,
	  "\x26\x00\x00\x00\x00\x00\x00\x00" },
	{ 1168, 32,
	  "\x06\x01\x10\x00\x73\x68\x61\x72\x65\x64\x74\x68\x65\x20\x73\x61"
	  "\x6d\x65\x20\x66\x6f\x72\x20\x61\x6c\x6c\x00\x00\x00\x00\x00\x00" },
	{ 1216, 24,
	  "\x00\x00\x00\x00\xa4\x81\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x05\x00\x00\x00" },
	{ 1536, 24,
	  "\x04\x00\x00\x00\xed\x41\x02\x00\x45\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x01\x00\x00\x00" },
	{ 1568, 32,
	  "\x00\x00\x00\x00\x00\x00\x00\x80\x3c\x00\x02\x00\x00\x00\x00\x00"
	  "\x00\x00\x00\x80\x3d\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x80" },
	{ 1600, 32,
	  "\x3f\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00\x80\x41\x00\x01\x00"
	  "\x08\x00\x00\x00\x00\x00\x00\x80\x43\x00\x01\x00\x2e\x2e\x2e\x66" },
	{ 1632, 8,
	  "\x31\x66\x32\x66\x33\x00\x00\x00" },
	{ 1664, 24,
	  "\x04\x00\x04\x00\xa4\x81\x01\x00\x02\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x02\x00\x00\x00" },
	{ 1696, 32,
	  "\xff\xff\xff\xf5\x01\x00\x00\x00\x00\x00\x00\x00\x24\x00\x00\x00"
	  "\x03\x01\x01\x00\x6f\x77\x6e\x31\x31\x0a\x00\x00\x00\x00\x00\x00" },
	{ 1728, 24,
	  "\x04\x00\x04\x00\xa4\x81\x01\x00\x02\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x03\x00\x00\x00" },
	{ 1760, 32,
	  "\xff\xff\xff\xf5\x01\x00\x00\x00\x00\x00\x00\x00\x24\x00\x00\x00"
	  "\x03\x01\x01\x00\x6f\x77\x6e\x32\x32\x0a\x00\x00\x00\x00\x00\x00" },
	{ 1792, 24,
	  "\x04\x00\x04\x00\xa4\x81\x01\x00\x02\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x04\x00\x00\x00" },
	{ 1824, 32,
	  "\xff\xff\xff\xf5\x01\x00\x00\x00\x00\x00\x00\x00\x24\x00\x00\x00"
	  "\x03\x01\x01\x00\x6f\x77\x6e\x33\x33\x0a\x00\x00\x00\x00\x00\x00" },
};

int main(void)
{
	static const char *const names[] = { "/mnt/f1", "/mnt/f2", "/mnt/f3" };
	char value[64], list[256], device[32];
	unsigned int i;
	int fd, loop;

	ktap_begin();
	mkdir("/mnt", 0755);
	fd = open("/image", O_RDWR | O_CREAT | O_TRUNC, 0644);
	for (i = 0; fd >= 0 && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (pwrite(fd, parts[i].bytes, parts[i].len, parts[i].at) != parts[i].len)
			break;
	if (!ktap_ok(fd >= 0 && i == sizeof(parts) / sizeof(parts[0]) && !ftruncate(fd, 8192), "write the image"))
		return ktap_end();
	close(fd);
	loop = loop_attach("/image", device);
	if (!ktap_ok(loop >= 0 && !mount(device, "/mnt", "erofs", MS_RDONLY, NULL), "mount it"))
		return ktap_end();
	close(loop);
	for (i = 0; i < 3; i++) {
		ktap_eq(getxattr(names[i], "user.own", value, sizeof(value)), 1, "%s: length of its own xattr", names[i]);
		ktap_ok(value[0] == '1' + (char)i, "%s: its own xattr", names[i]);
		ktap_eq(getxattr(names[i], "user.shared", value, sizeof(value)), 16, "%s: length of the shared xattr", names[i]);
		ktap_ok(!memcmp(value, "the same for all", 16), "%s: the shared xattr", names[i]);
		ktap_eq(listxattr(names[i], list, sizeof(list)), (long)(sizeof("user.own") + sizeof("user.shared")),
			"%s: length of the list", names[i]);
	}
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: sharing does not stack reads of images in files upon each other
 * series: 4-share/????-erofs-share-page-cache-between-files-of-equal-conten.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE BLK_DEV_LOOP
 * image: deep deep 14
 * device: blk:deep
 * memory: 512M
 * timeout: 120
 *
 * Image K is mounted from a file, /fK, and from a disk that holds a copy of it, /bK.  Both
 * have image K + 1 as a file of equal content, which /fK provides, since it is older; image
 * K + 1 is mounted from /bK.
 */
#include "ktap.h"
#include "loop.h"
#include "share.h"
#include "system.h"

#define LEVELS	14

static bool copy(const char *from, const char *to)
{
	static char buffer[1 << 16];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;

	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		if (write(out, buffer, n) != n)
			n = -1;
	close(in);
	close(out);
	return !n;
}

static bool add(int k)
{
	char image[32], f[16], b[16], file[32], device[32];
	int loop;

	snprintf(image, sizeof(image), "/b%d/image", k - 1);
	snprintf(f, sizeof(f), "/f%d", k);
	if (!share_mount(image, f, NULL))
		return false;
	if (k == LEVELS)
		return true;
	if (share_open(f, "image") < 0)		/* it stays open, and provides */
		return false;
	snprintf(file, sizeof(file), "/tmp/%d", k);
	snprintf(b, sizeof(b), "/b%d", k);
	if (!copy(image, file))
		return false;
	loop = loop_attach(file, device);
	if (loop < 0 || !share_mount(device, b, NULL))
		return false;
	close(loop);
	return true;
}

int main(void)
{
	static char got[100000];
	char last[16];
	int k;

	ktap_begin();
	ktap_ok(share_mount("/dev/harness/blk0", "/b0", NULL), "mount the disk");
	for (k = 1; k <= LEVELS; k++) {
		if (!ktap_ok(add(k), "level %d", k))
			return ktap_end();
		drop_caches("3");
		snprintf(last, sizeof(last), "/f%d", k);
		ktap_ok(k == LEVELS || share_open(last, "image") >= 0, "level %d: its file is there", k);
	}
	drop_caches("3");
	ktap_ok(share_read(last, "who", got, sizeof(got)) > 40000, "the innermost file is read");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

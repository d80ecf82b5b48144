/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An image in an image in an image (recipe "deep"), each mounted twice, for tests in C. */
#ifndef DEEP_H
#define DEEP_H

#include "ktap.h"
#include "loop.h"
#include "share.h"
#include "system.h"

static inline bool deep_copy(const char *from, const char *to)
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

/* Open the image that a mount has, and leave it open. */
static inline bool deep_open(const char *kind, int k)
{
	char dir[16];

	snprintf(dir, sizeof(dir), "/%s%d", kind, k);
	return share_open(dir, "image") >= 0;
}

/**
 * deep_add - mount image @k from a file, as /fK, and from a disk with a copy of it, as /bK
 * @k:      1 or more; /b0 is there
 * @levels: the innermost image, of which there is no /bK
 * @later:  is the file of /fK opened only when the next level is mounted from that of /bK?
 *
 * Both have image @k + 1 as a file of equal content.  /fK is older, and its file stays open.
 */
static inline bool deep_add(int k, int levels, bool later)
{
	char image[32], f[16], b[16], file[32], device[32];
	int loop;

	snprintf(image, sizeof(image), "/b%d/image", k - 1);
	snprintf(f, sizeof(f), "/f%d", k);
	if (!share_mount(image, f, NULL) || (later && k > 1 && !deep_open("f", k - 1)))
		return false;
	if (k == levels)
		return true;
	snprintf(file, sizeof(file), "/tmp/%d", k);
	snprintf(b, sizeof(b), "/b%d", k);
	if ((!later && !deep_open("f", k)) || !deep_copy(image, file))
		return false;
	loop = loop_attach(file, device);
	if (loop < 0 || !share_mount(device, b, NULL))
		return false;
	close(loop);
	return true;
}

/**
 * deep_read - mount all levels, and read the file "who" of the innermost image
 * @levels: of the recipe
 * @later:  see deep_add()
 */
static inline void deep_read(int levels, bool later)
{
	static char got[100000];
	char last[16];
	int k;

	ktap_ok(share_mount("/dev/harness/blk0", "/b0", NULL), "mount the disk");
	for (k = 1; k <= levels; k++)
		if (!ktap_ok(deep_add(k, levels, later), "level %d", k))
			return;
	drop_caches("3");
	snprintf(last, sizeof(last), "/f%d", levels);
	ktap_ok(share_read(last, "who", got, sizeof(got)) > 40000, "the innermost file is read");
}

#endif

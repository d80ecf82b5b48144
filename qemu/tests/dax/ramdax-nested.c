// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: an image in a file of an image that is in memory can be mounted
 * config: EROFS_FS_BACKED_BY_FILE
 * image: nested nested
 * device: pmem:nested
 * device: ramdax:nested
 * flavours: fast
 */
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "ktap.h"

/* Return: how many numbers the file has, from 1 on, in order. */
static int numbers(const char *path)
{
	FILE *f = fopen(path, "r");
	int n = 0, value;

	while (f && fscanf(f, "%d", &value) == 1 && value == n + 1)
		n++;
	if (f)
		fclose(f);
	return n;
}

static void on_device(const char *what, const char *device, const char *options)
{
	if (!ktap_ok(!mount(device, "/mnt", "erofs", MS_RDONLY, options), "%s: mount", what))
		return;
	ktap_ok(!mount("/mnt/image", "/tmp/inner", "erofs", MS_RDONLY, ""), "%s: mount the image in it", what);
	ktap_ok(numbers("/tmp/inner/numbers") == 5000, "%s: content", what);
	ktap_ok(!umount("/tmp/inner"), "%s: unmount", what);
	ktap_ok(!umount("/mnt"), "%s: unmount what it was in", what);
}

int main(void)
{
	ktap_begin();
	mkdir("/tmp/inner", 0755);
	on_device("block device", "/dev/pmem0", "dax=always");
	on_device("DAX device", "/dev/harness/ramdax0", "");
	return ktap_end();
}

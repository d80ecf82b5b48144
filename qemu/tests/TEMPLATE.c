// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: ONE LINE THAT SAYS WHAT HOLDS IF THIS PASSES
 * config: EROFS_FS VIRTIO_PMEM FS_DAX
 * image: tree tree
 * device: pmem:tree
 *
 * Documentation/tests.md lists these keys; qemu/guest/ktap.h has the checks.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"

int main(void)
{
	struct stat st;

	ktap_begin();
	ktap_ok(!mount("/dev/harness/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"),
		"mount the image");
	ktap_ok(!stat("/mnt/data.8191", &st) && st.st_size == 8191, "a file has its size");
	return ktap_end();
}

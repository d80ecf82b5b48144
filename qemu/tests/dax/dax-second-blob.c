// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: the second mount with a blob uses DAX as was asked, or it is said that it does not
 * series: 3-memory
 * config: EROFS_FS_RAMDAX PAGE_SIZE_4KB
 * image: blob share blob
 * device: pmem:blob
 * device: pmem:blob.blob
 * device: pmem:blob
 */
#include <limits.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "ktap.h"
#include "system.h"

int main(void)
{
	bool a, b;

	ktap_begin();
	mkdir("/a", 0755);
	mkdir("/b", 0755);
	ktap_ok(!mount("/dev/pmem0", "/a", "erofs", MS_RDONLY, "dax=always,device=/dev/pmem1"), "mount one");
	ktap_ok(!mount("/dev/pmem2", "/b", "erofs", MS_RDONLY, "dax=always,device=/dev/pmem1"), "mount another");
	a = is_dax("/a/f.65536");
	b = is_dax("/b/f.65536");
	ktap_ok(a, "files of the first are accessed by DAX");
	ktap_ok(b || times_said("pmem1: another mount has claimed it"), "so are those of the second, or it is said that they are not");
	umount("/a");
	drop_caches("3");
	ktap_note("after the first is unmounted: %d", is_dax("/b/f.65536"));
	umount("/b");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a mount of an image in a file of a mount whose disk was unplugged reads nothing of younger mounts
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE BLK_DEV_LOOP
 * image: true share-forge box-true
 * image: forged share-forge box-forged
 * device: blk:true
 * device: blk:forged
 *
 * The younger image has another image under the same fingerprint.
 */
#include "ktap.h"
#include "loop.h"
#include "share.h"

#define BYTES	1000

/* letter that the file in the image has; 'e': an error */
static char who(const char *dir)
{
	char text[BYTES] = "";
	ssize_t n = share_read(dir, "who", text, BYTES);

	return n == BYTES ? text[BYTES - 1] : n < 0 ? 'e' : '?';
}

int main(void)
{
	const char *old = "/dev/harness/blk0", *young = "/dev/harness/blk1";
	char device[32], byte;
	int loop, b;

	ktap_begin();
	ktap_ok(share_mount(old, "/a", NULL) && share_plain("/a/image", "/in"), "mount an image in a file of the true image");
	ktap_ok(who("/in") == 't', "it is the true one (got %c, want t)", who("/in"));
	umount("/in");
	ktap_ok(share_mount(young, "/b", NULL) && share_plain("/a/image", "/in") && share_plain("/b/image", "/in2"),
		"mount the forged image, and one in a file of each");
	ktap_ok(who("/in2") == 'f', "a file that holds an image has its own page cache (got %c, want f)", who("/in2"));
	umount("/in2");
	loop = loop_attach("/a/image", device);
	ktap_ok(ktap_is(loop, >=, 0), "a loop device on the file of the true image");
	b = share_open("/b", "image");
	drop_caches("3");
	ktap_ok(share_unplug(old), "unplug its disk");
	drop_caches("3");
	for (off_t at = 0; pread(b, &byte, 1, at) == 1; at += 4096)
		;
	ktap_ok(who("/in") == 'e', "nothing of the file can be read in the image in the older mount's file (got %c, want e)",
		who("/in"));
	ktap_fails(pread(loop, &byte, 1, 1024) < 0, EIO, "nor by the loop device");
	ktap_ok(!share_plain("/a/image", "/in3"), "nor can it be mounted anew");
	umount("/in");
	close(loop);
	close(b);
	ktap_ok(share_plain("/b/image", "/in2") && who("/in2") == 'f', "the younger mount has its own (got %c, want f)",
		who("/in2"));
	umount("/in2");
	ktap_ok(!umount("/a") && !umount("/b"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: an inode that somebody has put into the content of a file, and that is opened by a handle, feeds nobody else
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE FHANDLE
 * image: evil share-forge handle
 * image: base share base
 * device: blk:evil
 * device: blk:base
 *
 * All fingerprints of the image are true: mkfs.erofs made it of a file that anybody could have made.
 */
#include "ktap.h"
#include "pages.h"
#include "share.h"

#define NAME	"f.65536"
#define SIZE	65536

static char want[SIZE], got[SIZE];

/* Open an inode of the image at @dir by its number. */
static int open_nid(const char *dir, uint64_t nid)
{
	struct { struct file_handle head; uint32_t fh[8]; } handle = { .head.handle_bytes = sizeof(handle.fh) };
	int root = open(dir, O_RDONLY | O_DIRECTORY), id, fd;

	if (name_to_handle_at(root, "evil", &handle.head, &id, 0))
		return -1;
	((uint32_t *)handle.head.f_handle)[0] = nid >> 32;
	((uint32_t *)handle.head.f_handle)[1] = nid;
	fd = open_by_handle_at(root, &handle.head, O_RDONLY);
	close(root);
	return fd;
}

int main(void)
{
	int disk = open("/dev/harness/blk0", O_RDONLY), fd;
	uint32_t meta = 0;

	ktap_begin();
	pread(disk, &meta, sizeof(meta), 1024 + 40);
	close(disk);
	ktap_ok(share_plain("/dev/harness/blk1", "/b") && share_read("/b", NAME, want, SIZE) == SIZE && !umount("/b"),
		"what a file has");
	ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL) && share_mount("/dev/harness/blk1", "/b", NULL), "mount two");
	fd = open_nid("/a", (place_of("/a/evil") - meta * 4096ULL) / 32);
	if (fd >= 0) {
		ktap_note("it can be opened, and has %c", pread(fd, got, SIZE, 0) == SIZE ? *got : '?');
		close(fd);
	}
	ktap_ok(share_read("/b", NAME, got, SIZE) == SIZE && !memcmp(want, got, SIZE), "a file of the younger one has its own");
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
	return ktap_end();
}

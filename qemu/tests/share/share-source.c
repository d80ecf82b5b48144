// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file that a user has opened and mapped stays as it is when he mounts the image that is in it
 * series: 4-share/????-erofs-point-f_mapping-of-shared-files-at-the-shared-.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE
 * image: box deep 1
 * device: blk:box
 * device: blk:box
 *
 * Linux 7.3 takes a descriptor as the source of a mount.
 */
#include "ktap.h"
#include "pages.h"
#include "share.h"

#define BYTES	24576

/* Mount the image in an open file, sharing. */
static bool mount_fd(int fd, const char *dir)
{
	int fs = syscall(SYS_fsopen, "erofs", 0), mnt;

	mkdir(dir, 0755);
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_FD, "source", NULL, fd) ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "inode_share", NULL, 0) ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "domain_id", "d", 0) ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return false;
	mnt = syscall(SYS_fsmount, fs, 0, 0);
	close(fs);
	if (mnt < 0 || syscall(SYS_move_mount, mnt, "", -1, dir, MOVE_MOUNT_F_EMPTY_PATH))
		return false;
	close(mnt);
	return true;
}

int main(void)
{
	volatile char *a, *b;
	static char got[100000];
	int fd;

	ktap_begin();
	ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL) && share_mount("/dev/harness/blk1", "/b", NULL),
		"mount two");
	a = share_map("/a", "image", BYTES);
	fd = share_open("/b", "image");
	b = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
	ktap_ok(a && b != MAP_FAILED && a[8192] == b[8192] && page_frame(a + 8192) == page_frame(b + 8192),
		"files that hold an image are mapped, and share");
	ktap_ok(mount_fd(fd, "/in"), "mount the image in one of them by its descriptor");
	ktap_ok(share_read("/in", "who", got, sizeof(got)) > 40000, "a file in it can be read");
	madvise((void *)b, BYTES, MADV_DONTNEED);
	ktap_ok(a[8192] == b[8192] && page_frame(a + 8192) == page_frame(b + 8192), "they still share when faulted anew");
	ktap_ok(a[16384] == b[16384] && page_frame(a + 16384) == page_frame(b + 16384), "so does what was not there");
	ktap_ok(!munmap((void *)b, BYTES) && !close(fd), "close it");
	ktap_ok(!umount("/in"), "unmount the image in the file");
	ktap_ok(!munmap((void *)a, BYTES) && !umount("/b") && !umount("/a"), "unmount all");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

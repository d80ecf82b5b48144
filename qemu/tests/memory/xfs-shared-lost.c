// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who writes to a huge page of a reflinked file of XFS, of which one page is lost, loses no other one
 * config: XFS_FS MEMORY_FAILURE X86_PMEM_LEGACY PAGE_SIZE_4KB
 * image: xfs xfs
 * device: blk:xfs
 * append: memmap=96M!256M
 * memory: 512M
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lost.h"

#define PAGE	4096
#define HUGE	(2 << 20)
#define BAD	300	/* the page of it that is lost */
#define NEW	7	/* what is written to the first byte */

static char bytes[HUGE], zeroes[HUGE];

/* Copy the image, but its holes, to memory, which is zeroed. */
static bool copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY);
	bool good = in >= 0 && out >= 0;
	ssize_t n;

	for (off_t pos = 0; good && (n = pread(in, bytes, HUGE, pos)) != 0; pos += n)
		good = n > 0 && (!memcmp(bytes, zeroes, n) || pwrite(out, bytes, n, pos) == n);
	good = good && !fsync(out);
	close(in);
	close(out);
	return good;
}

/* Make @path a file that has the extents of @from. */
static bool clone(const char *from, const char *path)
{
	int in = open(from, O_RDONLY), out = open(path, O_RDWR | O_CREAT, 0600);
	bool good = !ioctl(out, FICLONE, in);

	close(in);
	close(out);
	return good;
}

/* Write the first byte of @path by a mapping that a huge page fits into. */
static bool write_mapped(const char *path)
{
	int fd = open(path, O_RDWR);
	volatile char *p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bool good = false;

	close(fd);
	if ((void *)p == MAP_FAILED)
		return false;
	if (!sigbus_came()) {
		*p = NEW;
		good = true;
	}
	munmap((void *)p, HUGE);
	return good;
}

/* How many pages of @path are not what was written, or EIO for @bad?  @first is the first byte. */
static int wrong(const char *path, char first, int bad)
{
	int fd = open(path, O_RDONLY), n = 0;
	char got[PAGE];

	for (int i = 0; i < HUGE / PAGE; i++) {
		ssize_t len = pread(fd, got, PAGE, (off_t)i * PAGE);

		if (i == bad)
			n += !(len < 0 && errno == EIO);
		else
			n += len != PAGE || got[0] != (i ? bytes[i * PAGE] : first) ||
				memcmp(got + 1, bytes + i * PAGE + 1, PAGE - 1);
	}
	close(fd);
	return n;
}

/* Write the file @path, and lose page @bad of it, if that is not negative. */
static bool make(const char *path, int bad)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600), status;
	bool good = pwrite(fd, bytes, HUGE, 0) == HUGE && !fsync(fd);
	pid_t pid;

	if (bad >= 0) {
		pid = fork();
		if (!pid) {
			char *p = mmap(NULL, HUGE, PROT_READ, MAP_SHARED, fd, 0);

			signal(SIGBUS, SIG_DFL);
			(void)*(volatile char *)(p + bad * PAGE);
			madvise(p + bad * PAGE, PAGE, MADV_HWPOISON);
			_exit(0);
		}
		waitpid(pid, &status, 0);
	}
	close(fd);
	return good;
}

int main(void)
{
	ktap_begin();
	sigbus_catch();
	ktap_ok(copy("/dev/harness/blk0", "/dev/pmem0"), "an empty XFS in memory");
	ktap_ok(!mount("/dev/pmem0", "/mnt", "xfs", 0, "dax=always"), "mount");
	for (int i = 0; i < HUGE; i++)
		bytes[i] = 1 + (i / PAGE + i) % 251;

	ktap_ok(make("/mnt/sound", -1) && is_dax("/mnt/sound"), "a file on DAX");
	ktap_eq(place_of("/mnt/sound") % HUGE, 0, "a huge page can map it");
	ktap_ok(clone("/mnt/sound", "/mnt/sound-copy") && write_mapped("/mnt/sound-copy"), "write to a copy");
	ktap_eq(wrong("/mnt/sound", bytes[0], -1), 0, "wrong pages of the file");
	ktap_eq(wrong("/mnt/sound-copy", NEW, -1), 0, "wrong pages of the copy");

	ktap_ok(make("/mnt/lost", BAD), "lose a page of another file");
	ktap_eq(place_of("/mnt/lost") % HUGE, 0, "a huge page can map it");
	ktap_eq(lost_error("/mnt/lost", BAD * PAGE), EIO, "a read of it fails");
	ktap_ok(clone("/mnt/lost", "/mnt/lost-copy") && write_mapped("/mnt/lost-copy"), "write to a copy");
	ktap_eq(wrong("/mnt/lost", bytes[0], BAD), 0, "wrong pages of the file");
	ktap_eq(wrong("/mnt/lost-copy", NEW, BAD), 0, "wrong pages of the copy");
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

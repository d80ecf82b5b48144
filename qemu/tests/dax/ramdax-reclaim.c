// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: inodes that were mapped by DAX are reclaimed once nobody uses them
 * config: EROFS_FS_RAMDAX FS_DAX PAGE_SIZE_4KB
 * image: tree tree -Enoinline_data
 * device: pmem:tree
 */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"
#include "system.h"

#define PAGE	4096

/* DAX mappings of the mount */
static long mapped_bytes(void)
{
	return number_in("/sys/fs/erofs/pmem0/dax/mapped_bytes");
}

/* Map a file and touch each page of it.  Return: the mapping, of *@len bytes. */
static volatile char *touch(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY);
	volatile char *p;
	struct stat st;

	fstat(fd, &st);
	*len = st.st_size;
	p = mmap(NULL, *len, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	for (size_t i = 0; p != MAP_FAILED && i < *len; i += PAGE)
		(void)p[i];
	return p;
}

int main(void)
{
	volatile char *kept;
	size_t len, total = 0;
	glob_t files;

	ktap_begin();
	if (!ktap_ok(!mount("/dev/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount"))
		return ktap_end();
	glob("/mnt/data.*", 0, NULL, &files);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		volatile char *p = touch(files.gl_pathv[i], &len);

		munmap((void *)p, len);
		total += len;
	}
	ktap_ok(mapped_bytes() >= (long)total, "files are mapped: %ld bytes", mapped_bytes());
	kept = touch("/mnt/twice", &len);
	drop_inodes();
	ktap_ok(mapped_bytes() == (long)((len + PAGE - 1) / PAGE * PAGE), "only what is in use stays: %ld bytes",
		mapped_bytes());
	ktap_ok(ktap_is(kept[len - 1], ==, kept[len / 2 - 1]), "it can be used");
	munmap((void *)kept, len);
	drop_inodes();
	ktap_ok(!mapped_bytes(), "nothing stays: %ld bytes", mapped_bytes());
	kept = touch("/mnt/twice", &len);
	ktap_ok(ktap_is(kept[len - 1], ==, kept[len / 2 - 1]), "it can be mapped again");
	munmap((void *)kept, len);
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

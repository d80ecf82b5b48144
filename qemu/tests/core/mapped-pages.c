// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: each page of each file that is mapped has what read(2) gives, and zeroes behind its end
 * config: EROFS_FS_RAMDAX EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_ZIP EROFS_FS_DMABUF UDMABUF
 * image: plain tree --fingerprint -Enoinline_data
 * image: dax tree --dax --fingerprint
 * image: lz4 tree -zlz4 -Efragments,ztailpacking,dedupe --fingerprint
 * device: blk:plain
 * device: blk:dax
 * device: blk:lz4
 * device: ramdax:plain
 * device: ramdax:dax
 * device: ramdax:lz4
 * memory: 512M
 * flavours: fast
 * timeout: 300
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dmabuf.h"
#include "ktap.h"
#include "share.h"
#include "sigbus.h"
#include "system.h"

static int files, wrong, dax;

__attribute__((noinline))
static bool touch(volatile char *p, size_t size)
{
	for (volatile size_t i = 0; i < size; i += 4096)
		if (gives_sigbus(p + i))
			return false;
	return true;
}

static int look(const char *path, const struct stat *st, int type, struct FTW *f)
{
	size_t page = getpagesize(), room = (st->st_size + page - 1) / page * page;
	char *want, *got;
	const char *why = NULL;
	int fd;

	(void)f;
	if (type != FTW_F || !S_ISREG(st->st_mode) || !st->st_size || st->st_size > 64 << 20)
		return 0;
	for (int way = 0; way < 4 && !why; way += 3) {
		fd = open(path, O_RDONLY);
		want = calloc(1, room);
		got = mmap(NULL, room + page, PROT_READ, way & 2 ? MAP_PRIVATE : MAP_SHARED, fd, 0);
		if (got != MAP_FAILED && !(way & 1))
			/* that of exactly the file */
			got = mremap(got, room + page, room, 0);
		if (got == MAP_FAILED)
			why = "not mapped";
		/* mapped first, then read */
		else if (!touch(got, room))
			why = "SIGBUS";
		if (!why && pread(fd, want, room, 0) != st->st_size)
			why = "short";
		if (!why && memcmp(want, got, room))
			why = memcmp(want, got, st->st_size) ? "other bytes" : "something behind the end";
		if (!why && (way & 1) && !gives_sigbus(got + room))
			why = "a page behind the end";
		if (got != MAP_FAILED)
			munmap(got, room + (way & 1 ? page : 0));
		free(want);
		close(fd);
		if (why && wrong++ < 5)
			ktap_note("%s, %lld bytes, way %d: %s", path, (long long)st->st_size, way, why);
	}
	dax += is_dax(path);
	files++;
	return 0;
}

static void check(const char *what)
{
	files = wrong = dax = 0;
	drop_caches("1");
	nftw("/mnt", look, 20, FTW_PHYS);
	ktap_ok(ktap_is(files, >, 30) && ktap_is(wrong, ==, 0), "%s: %d files, %d of DAX", what, files, dax);
}

int main(void)
{
	char node[64], what[64];
	int disk, fd;

	ktap_begin();
	sigbus_catch();
	for (int i = 0; i < 6; i++) {
		snprintf(node, sizeof(node), "/dev/harness/%s%d", i < 3 ? "blk" : "ramdax", i % 3);
		for (int share = 0; share < 2; share++) {
			snprintf(what, sizeof(what), "%s%s", node + 13, share ? ", shared" : "");
			if (mount(node, "/mnt", "erofs", MS_RDONLY, share ? SHARE_OPTIONS : NULL)) {
				ktap_ok(false, "%s: mount: %s", what, strerror(errno));
				continue;
			}
			check(what);
			ktap_ok(!umount("/mnt"), "%s: unmount", what);
		}
		if (i >= 3)
			continue;
		disk = open(node, O_RDONLY);
		fd = dmabuf_of_memfd(disk, dmabuf_image_size(disk) / getpagesize() * getpagesize(), 0);
		close(disk);
		if (dmabuf_mount(fd, "/mnt", NULL)) {
			snprintf(what, sizeof(what), "dma-buf %d", i);
			check(what);
			ktap_ok(!umount("/mnt"), "%s: unmount", what);
		} else {
			ktap_ok(false, "dma-buf %d: mount", i);
		}
		close(fd);
	}
	return ktap_end();
}

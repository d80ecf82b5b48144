// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: whichever page of a compressed file is read first, it has the right bytes
 * config: EROFS_FS_ZIP EROFS_FS_ZIP_ZSTD EROFS_FS_ZIP_LZMA EROFS_FS_ZIP_DEFLATE PAGE_SIZE_4KB
 * image: plain share base
 * image: zstd share base -zzstd -C65536 -Efragments
 * image: lzma share base -zlzma -C65536 -Eztailpacking
 * image: deflate share base -zdeflate -C65536
 * image: lz4 share base -zlz4hc -C65536
 * device: blk:plain
 * device: blk:zstd
 * device: blk:lzma
 * device: blk:deflate
 * device: blk:lz4
 * flavours: fast
 *
 * By a page fault without readahead, since there the whole extent of the page is looked up
 * and read, and from each page that lookup starts elsewhere in the index.  The end of
 * the file stays in the page cache: an extent that is taken for the rest of the file is then
 * decompressed as such.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"
#include "pages.h"
#include "share.h"

#define PAGE	4096
#define NAME	"f.3000000"
#define BYTES	3000000
#define KEPT	300	/* the end of the file starts here */
#define MOST	100	/* pages of two extents */
#define LEAST	5	/* the one before the end of the file that stays is cut */

static char want[BYTES];

/*
 * Fault in one page of a file of which only the end is cached.
 *
 * Return: pages that are cached then, 0 if the page cannot be read or is wrong, -1 if others were cached before.
 */
static int first(int fd, size_t page)
{
	char got[PAGE], *map;
	int ends[2], n = 0;

	posix_fadvise(fd, 0, KEPT * PAGE, POSIX_FADV_DONTNEED);
	map = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED || pipe(ends) || madvise(map, BYTES, MADV_RANDOM))
		return 0;
	if (resident(map, KEPT * PAGE))
		n = -1;
	else if (write(ends[1], map + page * PAGE, PAGE) == PAGE && read(ends[0], got, PAGE) == PAGE &&
		 !memcmp(got, want + page * PAGE, PAGE))	/* EFAULT instead of a signal */
		n = resident(map, KEPT * PAGE);
	close(ends[0]);
	close(ends[1]);
	munmap(map, BYTES);
	return n;
}

int main(void)
{
	ktap_begin();
	ktap_ok(share_plain("/dev/harness/blk0", "/mnt") && ktap_is(share_read("/mnt", NAME, want, BYTES), ==, BYTES) &&
		!umount("/mnt"),
		"learn what the file has");
	for (int i = 1; i <= 4; i++) {
		static const char *const names[] = { "", "zstd", "lzma", "deflate", "lz4" };
		char source[32];
		int fd, before = 0, wrong = 0, most = 0, least = KEPT;
		char c;

		snprintf(source, sizeof(source), "/dev/harness/blk%d", i);
		ktap_ok(share_plain(source, "/mnt"), "mount %s", names[i]);
		fd = share_open("/mnt", NAME);
		for (size_t at = KEPT * PAGE; at < BYTES; at += PAGE)
			wrong += pread(fd, &c, 1, at) != 1;
		for (size_t page = 0; page < KEPT; page++) {
			int n = first(fd, page);

			before += n < 0;
			most = n > most ? n : most;
			least = n < least ? n : least;
			if (!n && wrong++ < 5)
				ktap_note("page %zu cannot be read, or is wrong", page);
		}
		ktap_ok(!wrong, "%s: %d pages are wrong", names[i], wrong);
		ktap_ok(before < 10, "%d had other pages in the cache before", before);
		/* LZ4 is decompressed as far as it is wanted, the others as a whole */
		ktap_ok(most <= MOST && least >= (i < 4 ? LEAST : 1), "a page brings %d to %d pages", least, most);
		close(fd);
		ktap_ok(!umount("/mnt"), "unmount");
	}
	return ktap_end();
}

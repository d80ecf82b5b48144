// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a read fault on a DAX mapping maps the pages around it too
 * series: 2-dax/????-mm-let-DAX-map-the-pages-around-a-read-fault.patch
 * config: EROFS_FS
 * image: tree tree -Enoinline_data
 * device: pmem:tree
 *
 * Without "erofs: fault around on DAX" and what it needs, each page takes a fault.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"
#include "pages.h"

#define PAGE		4096
/* fault_around_bytes is 64 KiB unless somebody changes it in debugfs */
#define AROUND		16
/* for faults of the program's own, and a window that is cut in two */
#define STRAY_FAULTS	8

/* Read @size bytes at @p, one in each page. Return: the faults that this took. */
static long touch(const volatile char *p, size_t size, unsigned int *sum)
{
	long before = page_faults();

	for (size_t o = 0; o < size; o += PAGE)
		*sum += p[o];
	return page_faults() - before;
}

int main(void)
{
	static char data[1 << 20];
	unsigned int sum = 0;
	struct stat st;
	long n, max;
	char *p;
	int fd;

	ktap_begin();
	ktap_ok(!mount("/dev/harness/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount");
	fd = open("/mnt/data.1000003", O_RDONLY);
	ktap_ok(ktap_is(fd, >=, 0) && !fstat(fd, &st) && ktap_is(st.st_size, ==, 1000003), "open");
	ktap_eq(read(fd, data, sizeof(data)), st.st_size, "read");
	max = st.st_size / PAGE / AROUND + STRAY_FAULTS;

	for (int i = 0; i < 4; i++) {
		int flags = i & 2 ? MAP_PRIVATE : MAP_SHARED;

		p = mmap(NULL, st.st_size, PROT_READ | (i & 2 ? PROT_WRITE : 0), flags, fd, 0);
		if (p == MAP_FAILED) {
			ktap_ok(0, "map");
			continue;
		}
		n = touch(p, st.st_size, &sum);
		ktap_note("%ld faults for %ld pages", n, (long)st.st_size / PAGE + 1);
		ktap_ok(ktap_is(n, <=, max), i & 2 ? "private mapping" : "shared mapping");
		ktap_ok(!memcmp(p, data, st.st_size), "its content");
		if (i & 2) {
			/* what was mapped around is not writable without a copy */
			memset(p, 0x5a, st.st_size);
			ktap_ok(ktap_is(p[0], ==, 0x5a) && ktap_is(p[st.st_size - 1], ==, 0x5a), "written");
		}
		munmap(p, st.st_size);
	}
	p = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	ktap_ok(ktap_is(p, !=, MAP_FAILED) && !memcmp(p, data, st.st_size), "writes to copies stay there");
	munmap(p, st.st_size);
	close(fd);
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: files that share chunks are mapped together by DAX, and stay mapped
 * config: EROFS_FS PAGE_SIZE_4KB
 * image: chunks chunks --chunksize=4096
 * image: huge chunks --chunksize=2097152 --dsunit=512
 * device: pmem:chunks
 * device: pmem:huge
 * cpus: 2
 *
 * Without "erofs: report chunks as shared extents to DAX" the first mapping of a
 * second user of a chunk warns in fs/dax.c, and the harness fails the guest for
 * it.  Without "fsdax: keep an entry ..." two mappings of a page take it from
 * each other with every access.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "pages.h"
#include "system.h"

#define ROUNDS		1000
/* Enough for a stray fault of the program's own stack or code. */
#define STRAY_FAULTS	20
#define PAGE		4096

struct map {
	const char *p;
	size_t len;
};

static struct map map_file(const char *path)
{
	struct map m = { .p = MAP_FAILED };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return m;
	if (!fstat(fd, &st)) {
		m.len = st.st_size;
		m.p = mmap(NULL, m.len, PROT_READ, MAP_SHARED, fd, 0);
	}
	close(fd);
	return m;
}

/* Load each page of a mapping. */
static void touch(struct map m)
{
	for (size_t at = 0; at < m.len; at += PAGE)
		(void)*(volatile const char *)(m.p + at);
}

/* Compare with what read(2) says; by DAX that is another way to the bytes. */
static bool same_as_read(const char *path, struct map m)
{
	char buf[PAGE];
	size_t at = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while ((n = read(fd, buf, sizeof(buf))) > 0 && at + n <= m.len) {
		if (memcmp(buf, m.p + at, n))
			break;
		at += n;
	}
	close(fd);
	return !n && at == m.len;
}

/* Faults taken by reading one byte in turn through two mappings. */
static long faults_in_turns(const char *a, const char *b)
{
	long before;

	(void)*(volatile const char *)a;
	(void)*(volatile const char *)b;
	before = page_faults();
	for (int i = 0; i < ROUNDS; i++) {
		(void)*(volatile const char *)a;
		(void)*(volatile const char *)b;
	}
	return page_faults() - before;
}

static void test_chunks(const char *dir)
{
	static const char *const names[] = { "one", "two", "three", "huge1", "huge2" };
	struct map maps[5], again;
	char path[64];
	long n;

	for (int i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		maps[i] = map_file(path);
		if (!ktap_ok(ktap_is(maps[i].p, !=, MAP_FAILED), "map %s", path))
			return;
		touch(maps[i]);
	}
	for (int i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		ktap_ok(same_as_read(path, maps[i]), "%s: its mapping has its bytes", path);
	}

	snprintf(path, sizeof(path), "%s/one", dir);
	again = map_file(path);
	n = faults_in_turns(maps[0].p, again.p);
	ktap_note("%ld faults in %d rounds", n, ROUNDS);
	ktap_ok(ktap_is(n, <=, STRAY_FAULTS),
		"%s: two mappings of one page do not take it from each other", path);
	munmap((void *)again.p, again.len);

	/* One inode goes, its pages stay right for the other one. */
	munmap((void *)maps[3].p, maps[3].len);
	ktap_ok(!madvise((void *)maps[4].p, maps[4].len, MADV_DONTNEED), "%s: unmap the pages of huge2", dir);
	snprintf(path, sizeof(path), "%s/huge2", dir);
	ktap_ok(same_as_read(path, maps[4]), "%s: right after its twin is unmapped", path);
	for (int i = 0; i < 5; i++)
		if (i != 3)
			munmap((void *)maps[i].p, maps[i].len);
}

/*
 * A file is mapped so that 2 MiB pages fit, and again, or another one that has the
 * same chunks, so that they do not: PTE faults meet the PMD entry, or its pages.
 */
static void test_mixed_sizes(const char *path, const char *other)
{
	const size_t huge = 2 << 20;
	char *area = mmap(NULL, 16 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *aligned = (char *)(((unsigned long)area + huge - 1) & ~(huge - 1));
	int fd = open(path, O_RDONLY | O_CLOEXEC), fd2 = open(other, O_RDONLY | O_CLOEXEC);
	bool same = true;
	char *pmd, *pte;
	long n;

	pmd = mmap(aligned, 2 * huge, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	pte = mmap(aligned + 3 * huge + PAGE, 2 * huge, PROT_READ, MAP_SHARED | MAP_FIXED, fd2, 0);
	if (!ktap_ok(ktap_is(fd, >=, 0) && ktap_is(fd2, >=, 0) && ktap_is(pmd, !=, MAP_FAILED) &&
	    ktap_is(pte, !=, MAP_FAILED), "%s: map it twice", path))
		return;
	n = page_faults();
	touch((struct map){ pmd, 2 * huge });
	n = page_faults() - n;
	ktap_note("%ld faults", n);
	ktap_ok(ktap_is(n, <=, STRAY_FAULTS), "%s: aligned, 4 MiB are mapped by 2 MiB pages", path);
	for (size_t at = 0; at < 2 * huge; at += PAGE)
		same &= !memcmp(pmd + at, pte + at, PAGE);
	ktap_ok(same, "%s: 2 MiB and 4 KiB mappings have the same bytes", path);
	n = faults_in_turns(pmd + 5 * PAGE, pte + 5 * PAGE);
	ktap_note("%ld faults in %d rounds", n, ROUNDS);
	ktap_ok(ktap_is(n, <=, STRAY_FAULTS),
		"%s: mappings of both sizes do not take pages from each other", path);
	munmap(area, 16 << 20);
	close(fd);
	close(fd2);
}

/*
 * One file is mapped so that 2 MiB pages do not fit, and then another one that has the same
 * chunks so that they do: the PMD fault meets pages that are in use one by one.
 */
static void test_small_first(const char *path, const char *other)
{
	const size_t huge = 2 << 20;
	char *area = mmap(NULL, 16 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *aligned = (char *)(((unsigned long)area + huge - 1) & ~(huge - 1));
	int fd = open(path, O_RDONLY | O_CLOEXEC), fd2 = open(other, O_RDONLY | O_CLOEXEC);
	bool same = true;
	char *pte, *pmd;

	pte = mmap(aligned + PAGE, 2 * huge, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	pmd = mmap(aligned + 4 * huge, 2 * huge, PROT_READ, MAP_SHARED | MAP_FIXED, fd2, 0);
	if (!ktap_ok(ktap_is(fd, >=, 0) && ktap_is(fd2, >=, 0) && ktap_is(pte, !=, MAP_FAILED) &&
	    ktap_is(pmd, !=, MAP_FAILED), "%s: map it, and another file with its chunks", path))
		return;
	/* the second page only, so that the first one tells nothing */
	(void)*(volatile char *)(pte + PAGE);
	for (size_t at = 0; at < 2 * huge; at += PAGE)
		same &= !memcmp(pmd + at, pte + at, PAGE);
	ktap_ok(same, "%s: mapped by 2 MiB after the other file by 4 KiB, it has the same bytes", other);
	munmap(area, 16 << 20);
	close(fd);
	close(fd2);
}

int main(void)
{
	ktap_begin();
	mkdir("/mnt/chunks", 0755);
	mkdir("/mnt/huge", 0755);
	ktap_ok(!mount("/dev/harness/pmem0", "/mnt/chunks", "erofs", MS_RDONLY, "dax=always"),
		"mount the image with 4 KiB chunks");
	ktap_ok(!mount("/dev/harness/pmem1", "/mnt/huge", "erofs", MS_RDONLY, "dax=always"),
		"mount the image with 2 MiB chunks");
	test_chunks("/mnt/chunks");
	test_chunks("/mnt/huge");
	test_mixed_sizes("/mnt/huge/huge1", "/mnt/huge/huge1");
	test_mixed_sizes("/mnt/huge/huge1", "/mnt/huge/huge2");
	drop_inodes();
	test_small_first("/mnt/huge/huge1", "/mnt/huge/huge2");
	ktap_ok(!umount("/mnt/chunks") && !umount("/mnt/huge"), "unmount both");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench - visit every file of a tree, pass by pass, and say what it cost
 *
 * usage: bench [-m FSTYPE NODE OPTIONS] ROOT LIST [PASS]...
 *
 * NODE can be a file that an image is in.
 *
 * With -m, the device NODE is mounted on ROOT with OPTIONS, read-only, as the first
 * pass.
 *
 * Files come from LIST (see filelist.h), in its order, and are looked up below
 * ROOT.  The passes, in this order, each over all files (those named; all but the last
 * one, if none is):
 *
 *	mount		mount(2), and the first page of the first file of LIST
 *			that has one
 *	stat		fstatat(2); the first visit of each name and inode
 *	read		open, read in calls of 128 KiB to the end, close
 *	read again	the same
 *	mmap		map shared, load one byte of each page, unmap
 *	mmap again	the same
 *	mmap private	the same through private mappings
 *	mmap cold	as mmap, after all caches have been dropped
 *
 * Prints one JSON object for each pass, a line each:
 *
 *	pass		its name, as above
 *	ns		guest time that it took, in nanoseconds
 *	cpu_ns		CPU time of this process in it; under QEMU's -icount
 *			shift=0 this is the number of instructions
 *	all_ns		CPU time of all processes in it, those of the kernel too
 *	files, bytes	visited, and read or mapped
 *	faults		page faults that were taken
 *	cached_kib, buffers_kib, slab_kib, memfree_kib
 *			/proc/meminfo at the end of the pass
 *
 * An additional first object, pass "start", has the memory before the first.
 * Each pass starts with a mark for the plugin qemu/host/profile.c: its number, from
 * 1 for "mount".
 *
 * Exit status: 0, or 1 with a message if a file cannot be visited, 2 usage.
 */
#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "filelist.h"
#include "pages.h"
#include "profile.h"

#define READ_BYTES	(128 * 1024)

static size_t page_bytes;

struct pass {
	const char *name;
	/* visits @path below @root; returns bytes read or mapped */
	unsigned long long (*visit)(int root, const char *path);
	bool cold;		/* drop all caches before; run only if it is named */
};

static int open_file(int root, const char *path)
{
	int fd = openat(root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static unsigned long long visit_stat(int root, const char *path)
{
	struct stat st;

	if (fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW))
		err(1, "%s", path);
	return 0;
}

static unsigned long long visit_read(int root, const char *path)
{
	static char buf[READ_BYTES];
	int fd = open_file(root, path);
	unsigned long long sum = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		sum += n;
	if (n < 0)
		err(1, "%s", path);
	close(fd);
	return sum;
}

static unsigned long long visit_mmap(int root, const char *path, int flags)
{
	int fd = open_file(root, path);
	volatile char *p;
	struct stat st;

	if (fstat(fd, &st))
		err(1, "%s", path);
	if (st.st_size) {
		p = mmap(NULL, st.st_size, PROT_READ, flags, fd, 0);
		if (p == MAP_FAILED)
			err(1, "%s", path);
		for (off_t at = 0; at < st.st_size; at += page_bytes)
			(void)p[at];
		munmap((void *)p, st.st_size);
	}
	close(fd);
	return st.st_size;
}

static unsigned long long visit_mmap_shared(int root, const char *path)
{
	return visit_mmap(root, path, MAP_SHARED);
}

static unsigned long long visit_mmap_private(int root, const char *path)
{
	return visit_mmap(root, path, MAP_PRIVATE);
}

static const struct pass passes[] = {
	{ "stat", visit_stat, false },
	{ "read", visit_read, false },
	{ "read again", visit_read, false },
	{ "mmap", visit_mmap_shared, false },
	{ "mmap again", visit_mmap_shared, false },
	{ "mmap private", visit_mmap_private, false },
	{ "mmap cold", visit_mmap_shared, true },
};

/* Print the memory part of a pass's object, and end it. */
static void print_memory(void)
{
	static const struct { const char *field, *name; } fields[] = {
		{ "Cached", "cached_kib" },
		{ "Buffers", "buffers_kib" },
		{ "Slab", "slab_kib" },
		{ "MemFree", "memfree_kib" },
	};
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long value;
	char name[64];

	if (!f)
		err(1, "/proc/meminfo");
	while (fscanf(f, "%63[^:]: %llu%*[^\n]\n", name, &value) == 2)
		for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
			if (!strcmp(name, fields[i].field))
				printf(", \"%s\": %llu", fields[i].name, value);
	fclose(f);
	printf("}\n");
	fflush(stdout);
}

static unsigned long long now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/*
 * CPU time of all processes that there are.  Work that the kernel gives to its own processes,
 * reading ahead and decompressing, is in it; what interrupts an idle CPU is not.
 */
static unsigned long long all_ns(void)
{
	DIR *dir = opendir("/proc");
	unsigned long long sum = 0;
	struct dirent *d;
	clockid_t clock;

	if (!dir)
		err(1, "/proc");
	while ((d = readdir(dir)))
		if (isdigit((unsigned char)*d->d_name) && !clock_getcpuclockid(atoi(d->d_name), &clock))
			sum += now_ns(clock);
	closedir(dir);
	return sum;
}

static void drop_caches(void)
{
	FILE *f = fopen("/proc/sys/vm/drop_caches", "we");

	if (!f || fputs("3", f) < 0 || fclose(f))
		err(1, "/proc/sys/vm/drop_caches");
}

static bool wanted(const char *name, char **names)
{
	while (*names && strcmp(*names, name))
		names++;
	return *names;
}

/* The constants that PROFILE_MARK() needs. */
static void mark_pass(size_t number)
{
	switch (number) {
	case 0: PROFILE_MARK(0); break;
	case 1: PROFILE_MARK(1); break;
	case 2: PROFILE_MARK(2); break;
	case 3: PROFILE_MARK(3); break;
	case 4: PROFILE_MARK(4); break;
	case 5: PROFILE_MARK(5); break;
	case 6: PROFILE_MARK(6); break;
	case 7: PROFILE_MARK(7); break;
	case 8: PROFILE_MARK(8); break;
	}
}

struct cost {
	unsigned long long start, cpu, all;
	long faults;
};

static void pass_begin(struct cost *c, size_t number)
{
	c->faults = page_faults();
	c->all = all_ns();
	c->start = now_ns(CLOCK_MONOTONIC);
	c->cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	mark_pass(number);
}

static void pass_end(const struct cost *c, const char *name, size_t files, unsigned long long bytes)
{
	unsigned long long ns, cpu;

	mark_pass(0);
	cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - c->cpu;
	ns = now_ns(CLOCK_MONOTONIC) - c->start;
	printf("{\"pass\": \"%s\", \"ns\": %llu, \"cpu_ns\": %llu, \"all_ns\": %llu, \"files\": %zu, \"bytes\": %llu, \"faults\": %ld",
	       name, ns, cpu, all_ns() - c->all, files, bytes, page_faults() - c->faults);
	print_memory();
}

/* Mount @args on @path, and read the first page that there is. Return: the root directory. */
static int visit_mount(char **args, const char *path, const struct file_list *list)
{
	static char page[4096];
	int root, fd;
	ssize_t n = 0;

	if (mount(args[1], path, args[0], MS_RDONLY, args[2]))
		err(1, "cannot mount %s", args[1]);
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t k = 0; k < list->count && n <= 0; k++) {
		fd = open_file(root, list->entries[k].path);
		n = read(fd, page, sizeof(page));
		close(fd);
	}
	return root;
}

int main(int argc, char **argv)
{
	struct file_list list;
	bool mounts = argc > 4 && !strcmp(argv[1], "-m");
	char **mount_args = argv + 2;
	struct cost c;
	int root;

	if (mounts) {
		argc -= 4;
		argv += 4;
	}
	root = file_list_arguments(&list, argc, argv, "[PASS]...");
	page_bytes = sysconf(_SC_PAGESIZE);

	printf("{\"pass\": \"start\"");
	print_memory();
	if (mounts) {
		close(root);
		pass_begin(&c, 1);
		root = visit_mount(mount_args, argv[1], &list);
		pass_end(&c, "mount", 1, page_bytes);
	}
	if (root < 0)
		err(2, "%s", argv[1]);
	for (size_t i = 0; i < sizeof(passes) / sizeof(*passes); i++) {
		unsigned long long bytes = 0;

		if (argc > 3 ? !wanted(passes[i].name, argv + 3) : passes[i].cold)
			continue;
		if (passes[i].cold)
			drop_caches();
		pass_begin(&c, i + 2);
		for (size_t k = 0; k < list.count; k++)
			bytes += passes[i].visit(root, list.entries[k].path);
		pass_end(&c, passes[i].name, list.count, bytes);
	}
	return 0;
}

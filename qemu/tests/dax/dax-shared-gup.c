// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: memory that a file shares can be read through its mappings by those who pin it
 * config: EROFS_FS CROSS_MEMORY_ATTACH
 * image: chunks chunks --chunksize=4096
 * device: pmem:chunks
 *
 * process_vm_readv(2) pins what it reads, as direct I/O does.  Without
 * "fsdax: do not make shared pages look anonymous" it never ends for shared mappings,
 * and leaves copies behind in private ones.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"

#define PAGE		4096
#define LIMIT		20	/* seconds, for what takes none */

/* KiB of anonymous memory in the mapping that begins at @p, or -1. */
static long anonymous(const void *p)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	char line[256];
	long kib = -1;
	int here = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (unsigned long)p;
		else if (here)
			sscanf(line, "Anonymous: %ld kB", &kib);
	}
	if (f)
		fclose(f);
	return kib;
}

/* In a process of its own: pin all of a mapping, whose pages are there already if @touch. */
static void pin(int fd, size_t size, int flags, int touch)
{
	static char data[8 << 20], got[8 << 20];
	struct iovec to = { got, size };
	struct iovec from = { mmap(NULL, size, PROT_READ, flags, fd, 0), size };
	long kib;

	alarm(LIMIT);
	if (from.iov_base == MAP_FAILED || pread(fd, data, size, 0) != (ssize_t)size)
		_exit(2);
	for (size_t o = 0; touch && o < size; o += PAGE)
		(void)*((volatile char *)from.iov_base + o);
	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != (ssize_t)size)
		_exit(3);
	kib = anonymous(from.iov_base);
	if (kib)
		ktap_note("%ld KiB are copies", kib);
	_exit(memcmp(data, got, size) ? 4 : kib ? 5 : 0);
}

int main(void)
{
	static const char *const names[] = { "/mnt/two", "/mnt/huge1" };
	struct stat st;
	int status;
	pid_t pid;
	int fd;

	ktap_begin();
	ktap_ok(!mount("/dev/harness/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount the image");
	for (int i = 0; i < 8; i++) {
		fd = open(names[i & 1], O_RDONLY | O_CLOEXEC);
		if (!ktap_ok(ktap_is(fd, >=, 0) && !fstat(fd, &st) && ktap_is(st.st_size, >=, PAGE), "open %s", names[i & 1]))
			continue;
		pid = fork();
		if (!pid)
			pin(fd, st.st_size < 8 << 20 ? st.st_size : 8 << 20, i & 2 ? MAP_PRIVATE : MAP_SHARED, i & 4);
		status = -1;
		waitpid(pid, &status, 0);
		ktap_eq(status, 0, "%s mapping of %s, %s", i & 2 ? "private" : "shared", names[i & 1],
			i & 4 ? "mapped" : "not mapped yet");
		close(fd);
	}
	ktap_ok(!umount("/mnt"), "unmount");
	return ktap_end();
}

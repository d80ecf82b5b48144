// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: whatever a user does with his mapping of memory that files share, others keep it
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE TRANSPARENT_HUGEPAGE
 * image: base share base --dax
 * image: next share next --dax
 * device: pmem:base
 * device: pmem:next
 * cpus: 2
 * timeout: 60
 */
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "ktap.h"
#include "share.h"

#define LARGE	"f.3000000"
#define BYTES	3000000
#define HUGE	(2UL << 20)

static char good[BYTES];

static char *map_at(const char *dir, int prot, int flags)
{
	int fd = share_open(dir, LARGE);
	char *where = mmap(NULL, 4 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p;

	where = (char *)(((unsigned long)where + HUGE - 1) & ~(HUGE - 1));
	p = mmap(where, BYTES, prot, flags | MAP_FIXED, fd, 0);
	close(fd);
	return p;
}

static bool same(const char *p) { return !memcmp(p, good, BYTES); }

int main(void)
{
	static const int advices[] = { 0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 100, 101, 102, 103 };
	char *other, *shared, *private;
	int status, fd;
	pid_t pid;

	ktap_begin();
	ktap_ok(share_plain("/dev/harness/pmem0", "/p") && share_read("/p", LARGE, good, BYTES) == BYTES && !umount("/p"), "learn");
	ktap_ok(!share_mount("/dev/harness/pmem0", "/a", "dax=always") ? false : share_mount("/dev/harness/pmem1", "/b", "dax=always"), "mount two");
	close(share_open("/a", LARGE));
	other = map_at("/a", PROT_READ, MAP_SHARED);
	ktap_ok(same(other), "the older one has it mapped");
	shared = map_at("/b", PROT_READ, MAP_SHARED);
	private = map_at("/b", PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ktap_ok(same(shared) && same(private), "so has the younger one");
	private[5 * 4096] ^= 1;
	private[2999999] ^= 1;
	ktap_ok(same(other) && same(shared) && !same(private), "a private write is private");
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(private[9 * 4096] == 'Z' && shared[9 * 4096] == good[9 * 4096] ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	{
		long word = ptrace(PTRACE_PEEKDATA, pid, private + 9 * 4096, 0);

		ktap_ok(!ptrace(PTRACE_POKEDATA, pid, private + 9 * 4096, (word & ~0xffL) | 'Z'), "a debugger pokes into a private mapping");
		errno = 0;
		status = ptrace(PTRACE_POKEDATA, pid, shared + 9 * 4096, word ^ 0xff);
		ktap_note("poke into a shared mapping: %d %s", status, strerror(errno));
	}
	ptrace(PTRACE_CONT, pid, 0, 0);
	waitpid(pid, &status, 0);
	ktap_ok(WIFEXITED(status) && !WEXITSTATUS(status) && same(other), "it has its own page, status %#x", status);
	fd = open("/proc/self/mem", O_RDWR);
	ktap_note("write to mem: %zd %s", pwrite(fd, "YY", 2, (long)(shared + 20 * 4096)), strerror(errno));
	ktap_note("write to mem, private: %zd", pwrite(fd, "YY", 2, (long)(private + 20 * 4096)));
	close(fd);
	ktap_ok(same(other) && same(shared), "nothing is written to memory");
	pid = fork();
	if (!pid) {
		if (setresuid(65534, 65534, 65534))
			_exit(1);
		for (unsigned int i = 0; i < sizeof(advices) / sizeof(*advices); i++) {
			int e1 = madvise(shared, HUGE, advices[i]) ? errno : 0;
			int e2 = madvise(private, BYTES, advices[i]) ? errno : 0;

			printf("# advice %d: %d %d\n", advices[i], e1, e2);
			/* guard pages are for nobody, until they are removed by 103 */
			if (advices[i] != 9 && advices[i] != 102 && !same(shared))
				_exit(2);
		}
		mlock(shared, HUGE);
		mprotect(shared, 4096 * 7, PROT_NONE);
		mprotect(shared, 4096 * 7, PROT_READ);
		printf("# writable: %d\n", mprotect(shared, 4096, PROT_READ | PROT_WRITE));
		printf("# mremap: %p\n", mremap(shared, HUGE, HUGE + 4096 * 3, MREMAP_MAYMOVE));
		printf("# remap_file_pages: %d\n", (int)syscall(SYS_remap_file_pages, private, 8192, 0, 3, 0));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ktap_ok(WIFEXITED(status) && !WEXITSTATUS(status), "a user gives all kinds of advice, status %#x", status);
	ktap_ok(same(other), "the older one has its memory");
	munmap(other, BYTES);
	munmap(shared, BYTES);
	munmap(private, BYTES);
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

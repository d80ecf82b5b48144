// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a page that was lost while its block waited to go offline is known to who mounts the memory
 * series: 2-dax/????-dax-kmem-hand-on-which-pages-were-lost-as-system-RAM.patch
 * config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_PMEM DEV_DAX_KMEM X86_PMEM_LEGACY MEMORY_FAILURE HWPOISON_INJECT
 * image: tree tree -Enoinline_data
 * device: blk:tree
 * memory: 1024M
 * append: memmap=256M!512M
 * cpus: 2
 * timeout: 100
 */
#include <sys/wait.h>

#include "kmem.h"

/*
 * Put a page of the block into a pipe, which keeps it from going offline; not one close to @other.
 * Return: the end to read from, or -1.
 */
static int page_of_block_in_pipe(int64_t other)
{
	size_t size = 300UL << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int ends[2];

	if (p == MAP_FAILED || pipe(ends))
		return -1;
	for (size_t i = 0; i < size; i += 4096) {
		int64_t at = page_frame(p + i) * 4096;
		struct iovec iov = { .iov_base = p + i, .iov_len = 4096 };

		if (at < (int64_t)START || at >= (int64_t)(START + DATA) || labs(at - other) < 4 << 20 || vmsplice(ends[1], &iov, 1, 0) != 4096)
			continue;
		munmap(p, size);
		return ends[0];
	}
	return -1;
}

int main(void)
{
	int pipe, status;
	int64_t place;
	pid_t offline, lose;
	char page[4096];

	ktap_begin();
	place = kmem_begin();
	pipe = page_of_block_in_pipe(START + place);
	ktap_ok(pipe >= 0, "a page of it is in a pipe");
	offline = fork();
	if (!offline)
		_exit(!write_to(BLOCK, "offline"));
	sleep(2);
	ktap_ok(!waitpid(offline, &status, WNOHANG), "so its block waits to go offline");
	/* the kernel may not come to deal with it until then */
	lose = fork();
	if (!lose)
		_exit(!page_poison(START / 4096 + place / 4096 + BAD));
	sleep(2);
	/* the others have it open, too */
	ktap_eq(read(pipe, page, sizeof(page)), 4096, "read the page");
	ktap_ok(waitpid(offline, &status, 0) == offline && !status, "which it does then");
	waitpid(lose, &status, 0);
	kmem_check();
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a memory error under a shared extent does not bring the machine down
 * config: EROFS_FS MEMORY_FAILURE
 * image: chunks chunks --chunksize=4096
 * device: pmem:chunks
 *
 * Without "fsdax: do not make shared pages look anonymous"
 * a kernel whose EROFS does not hear of memory errors oopses, and the harness fails
 * the guest for it.  With the series 3-memory it does, so "make prove-fixes" takes that
 * patch out of 1-fixes alone.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"

#define PAGE		4096

int main(void)
{
	int fd, status = -1;
	pid_t pid;

	ktap_begin();
	ktap_ok(!mount("/dev/harness/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount the image");
	fd = open("/mnt/huge1", O_RDONLY | O_CLOEXEC);
	pid = fork();
	if (!pid) {
		char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

		if (p == MAP_FAILED)
			_exit(2);
		(void)*(volatile char *)p;
		/* Whether it is recovered or not: the machine must live on. */
		madvise(p, PAGE, MADV_HWPOISON);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ktap_ok(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : WIFEXITED(status) && !WEXITSTATUS(status),
		"the process that maps the page goes on, or gets SIGBUS");
	close(fd);
	ktap_ok(!access("/mnt/two", R_OK), "the machine and the mount live on");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a DAX device that is just bound, or unbound, is not opened without a device behind it
 * config: DEV_DAX DEV_DAX_PMEM X86_PMEM_LEGACY
 * series: 1-fixes
 * image: tree tree
 * device: blk:tree
 * append: memmap=16M!128M
 * cpus: 2
 * timeout: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devdax.h"
#include "ktap.h"
#include "system.h"

#define SECONDS	10
#define SIZE	(2UL << 20)

/* Opens and maps the device, whenever there is one. */
static void opens(const char *node, volatile long *mapped)
{
	for (;;) {
		int fd = open(node, O_RDWR | O_CLOEXEC);
		void *p;

		if (fd < 0)
			continue;
		p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
		if (p != MAP_FAILED) {
			++*mapped;
			munmap(p, SIZE);
		}
		close(fd);
	}
}

int main(void)
{
	volatile long *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rounds = 0, status;
	struct stat st;
	double end;
	pid_t pid;

	ktap_begin();
	ktap_ok(!fill(), "write an image and an info block");
	driver(BUS_ND "nd_pmem/unbind", "namespace0.0");
	driver(BUS_ND "nd_pmem/bind", "namespace0.0");
	ktap_ok(image_can_be_mapped() && !stat(NODE, &st), "the kernel finds a DAX device, for device_dax");
	/* a name that stays */
	ktap_ok(!mknod("/tmp/node", S_IFCHR | 0600, st.st_rdev), "a node");
	pid = fork();
	if (!pid)
		opens("/tmp/node", mapped);
	for (end = seconds_now() + SECONDS; seconds_now() < end; ) {
		/* not while it is open */
		rounds += !driver(BUS_DAX "device_dax/unbind", "dax0.0");
		while (driver(BUS_DAX "device_dax/bind", "dax0.0") == EBUSY && seconds_now() < end)
			;
		usleep(20000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ktap_ok(WIFSIGNALED(status) && ktap_is(WTERMSIG(status), ==, SIGKILL), "who opens it lives on");
	ktap_ok(ktap_is(rounds, >, 5) && ktap_is(*mapped, >, 5), "%d rounds, mapped %ld times", rounds, *mapped);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

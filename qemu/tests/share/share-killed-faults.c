// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: whoever waits for a page of a younger mount that is being read ahead can be killed, by whatever road he came
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY
 * image: base share base
 * image: chunk share base --chunksize=4096
 * device: blk:base
 * device: blk:chunk
 * cpus: 2
 * timeout: 300
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dm.h"
#include "ktap.h"
#include "share.h"
#include "system.h"

#define NAME	"f.3000000"
#define SIZE	3000000

static pid_t holder;	/* has the file mapped, and does nothing */

static int touch(char *at)
{
	return *(volatile char *)at;
}

static int write_pipe(char *at)
{
	int ends[2];

	return pipe(ends) || write(ends[1], at, 1) != 1;
}

static int splice_pages(char *at)
{
	struct iovec range = { at, 1 };
	int ends[2];

	return pipe(ends) || vmsplice(ends[1], &range, 1, 0) != 1;
}

static int lock(char *at)
{
	return mlock(at, 4096);
}

static int open_path(char *at)
{
	return open(at, O_RDONLY);
}

static int futex_op(char *at)
{
	static int word;

	return syscall(SYS_futex, &word, FUTEX_WAKE_OP_PRIVATE, 1, 1, at, FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0));
}

static int futex_lock(char *at)
{
	return syscall(SYS_futex, at, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
}

static int peek(char *at)
{
	if (ptrace(PTRACE_ATTACH, holder, 0, 0) || waitpid(holder, NULL, 0) != holder)
		return 1;
	return ptrace(PTRACE_PEEKDATA, holder, at, 0);
}

static int read_mem(char *at)
{
	char path[64], c;

	snprintf(path, sizeof(path), "/proc/%d/mem", holder);
	return pread(open(path, O_RDONLY), &c, 1, (unsigned long)at) != 1;
}

/* The kernel follows the list when the process has got its last signal. */
static void robust_list(char *at, int ready)
{
	static struct robust_list_head head;

	head.list.next = (struct robust_list *)at;
	if (syscall(SYS_set_robust_list, &head, sizeof(head)) || write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static const struct {
	const char *what;
	int (*call)(char *at);
} roads[] = {
	{ "a load", touch }, { "write(2)", write_pipe }, { "vmsplice(2)", splice_pages }, { "mlock(2)", lock },
	{ "a path", open_path }, { "FUTEX_WAKE_OP", futex_op },
	{ "FUTEX_TRYLOCK_PI", futex_lock }, { "PTRACE_PEEKDATA", peek }, { "/proc/PID/mem", read_mem },
};

int main(void)
{
	char hung[32], *map, c;
	int ready[2];
	bool waits;
	pid_t pid;
	int fd;

	ktap_begin();
	ktap_ok(dm_create("hung", "/dev/harness/blk1", "delay", "0", hung) && share_mount(hung, "/a", NULL) &&
		share_mount("/dev/harness/blk0", "/b", NULL), "mount two");
	close(share_open("/a", NAME));
	fd = share_open("/b", NAME);
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	holder = fork();
	if (!holder)
		for (;;)
			pause();
	drop_caches("1");
	ktap_ok(read_extents("/a/" NAME), "extents are known");
	/* not dm_hang(): readahead of a suspended device fails at once */
	ktap_ok(dm_reload("hung", "/dev/harness/blk1", "delay", "200000"), "the older disk takes 200 s");
	for (size_t i = 0; i < sizeof(roads) / sizeof(*roads); i++) {
		pid = fork();
		if (!pid)
			_exit(roads[i].call(map + (16 + 47 * i) * 4096));
		for (int tries = 0; tries < 300 && !dm_waits(pid); tries++)
			usleep(10000);
		usleep(200000);
		waits = dm_waits(pid);
		ktap_ok(share_kill(pid, 5) && waits, "%s: waits, and can be killed", roads[i].what);
	}
	pid = pipe(ready) ? -1 : fork();
	if (!pid)
		robust_list(map + 15 * 47 * 4096, ready[1]);
	ktap_ok(ktap_is(read(ready[0], &c, 1), ==, 1) && share_kill(pid, 5), "a list of robust futexes does not keep who exits");
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	ktap_ok(dm_reload("hung", "/dev/harness/blk1", "delay", "0"), "the disk goes on");
	sleep(1);
	munmap(map, SIZE);
	close(fd);
	ktap_ok(!umount("/b") && !umount("/a") && dm_remove("hung"), "unmount all");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

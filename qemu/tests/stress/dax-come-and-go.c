// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: DAX devices that are mounted, shared, mapped, pinned, unbound and removed by many at a time leave nothing wrong
 * series: 4-share
 * config: EROFS_FS_RAMDAX
 * image: base share base --dax
 * image: blob share blob
 * device: ramdax:base
 * device: ramdax:base
 * device: pmem:base
 * device: pmem:blob
 * device: pmem:blob.blob
 * cpus: 2
 * memory: 384M
 * timeout: 400
 * stress: 60
 */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "carveout.h"
#include "ktap.h"
#include "sigbus.h"
#include "system.h"

static const char *const files[] = { "f.3000000", "f.300001", "f.65536", "same.1", "same.2", "f.8192", "f.1" };
static double end;
static char nodes[2][64], nd[3][64], dev[2][64];
static struct { volatile long mounts, busy, fails, unbinds, removals, pins, faults, sigbus; } *n;
static bool can_share;		/* not on Linux 7.3 */

static int pick(int k)
{
	return random() % k;
}

static void use(const char *dir)
{
	char path[200], buf[65536];
	int fd, ends[2] = { -1, -1 };
	volatile char *p;
	volatile size_t size = 4096 * (1 + pick(700));

	snprintf(path, sizeof(path), "%s/%s", dir, files[pick(7)]);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return;
	if (pick(2))
		(void)!pread(fd, buf, sizeof(buf), 4096 * pick(700));
	p = mmap(NULL, size, PROT_READ | (pick(3) ? 0 : PROT_WRITE), MAP_PRIVATE, fd, 0);
	if (p != MAP_FAILED) {
		if (!sigbus_came()) {
			for (int i = 0; i < 30; i++) {
				(void)p[pick(size)];
				n->faults++;
			}
			if (!pick(3) && !pipe(ends)) {
				struct iovec iov = { (void *)(p + (4096UL * pick(size / 4096))), 4096 };

				if (vmsplice(ends[1], &iov, 1, 0) > 0)
					n->pins++;
			}
			if (!pick(4))
				madvise((void *)p, size, pick(2) ? MADV_DONTNEED : MADV_POPULATE_READ);
			if (!pick(4))
				mremap((void *)p, size, 4096, 0), size = 4096;
		} else {
			n->sigbus++;
		}
		munmap((void *)p, size);
	}
	close(fd);
	if (ends[0] >= 0) {
		if (!fork()) {	/* it stays pinned for a while */
			usleep(pick(30000));
			_exit(0);
		}
		close(ends[0]);
		close(ends[1]);
	}
}

static void mounter(int id)
{
	char dir[32], options[128];

	sigbus_catch();
	signal(SIGCHLD, SIG_IGN);
	srandom(id * 77 + 5);
	snprintf(dir, sizeof(dir), "/tmp/m%d", id);
	mkdir(dir, 0755);
	while (seconds_now() < end) {
		int which = pick(4);
		bool shares = can_share && pick(3);
		const char *share = shares ? "inode_share,domain_id=d" : "domain_id=x";
		const char *node = which < 2 ? nodes[which] : which == 2 ? "/dev/pmem0" : "/dev/pmem1";

		snprintf(options, sizeof(options), "%s%s", share, which == 2 ? ",dax=always" :
			 which == 3 ? ",dax=always,device=/dev/pmem2" : "");
		if (mount(node, dir, "erofs", MS_RDONLY, options)) {
			if (errno == EBUSY)
				n->busy++;
			else
				n->fails++;
			usleep(5000);
			continue;
		}
		n->mounts++;
		for (int i = pick(6); i >= 0; i--)
			use(dir);
		if (umount2(dir, pick(3) ? 0 : MNT_DETACH))
			umount2(dir, MNT_DETACH);
	}
	_exit(0);
}

static void remover(void)
{
	srandom(3);
	while (seconds_now() < end) {
		int i = pick(3);

		usleep(pick(300000));
		switch (pick(4)) {
		case 0:
			if (carveout_driver("unbind", 0))
				n->removals++;
			usleep(pick(30000));
			carveout_driver("bind", 0);
			break;
		case 1:
			if (write_to("/sys/bus/nd/drivers/nd_pmem/unbind", nd[i]))
				n->removals++;
			usleep(pick(30000));
			write_to("/sys/bus/nd/drivers/nd_pmem/bind", nd[i]);
			break;
		case 2:
			if (write_to("/sys/bus/dax/drivers/fsdev_dax/unbind", dev[1]))
				n->unbinds++;
			write_to("/sys/bus/dax/drivers/fsdev_dax/bind", dev[1]);
			break;
		default:
			drop_caches(pick(2) ? "2" : "3");
			if (system("cat /sys/fs/erofs/*/dax/* /sys/fs/erofs/*/inode_share/* > /dev/null 2>&1"))
				continue;
		}
	}
	_exit(0);
}

int main(void)
{
	char real[PATH_MAX];
	int status;

	ktap_begin();
	n = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 2; i++) {
		char h[64];

		snprintf(h, sizeof(h), "/dev/harness/ramdax%d", i);
		realpath(h, nodes[i]);
		strcpy(dev[i], strrchr(nodes[i], '/') + 1);
	}
	for (int i = 0; i < 3; i++) {
		char h[64];

		snprintf(h, sizeof(h), "/sys/block/pmem%d/device", i);
		ktap_ok(realpath(h, real), "%s", real);
		strcpy(nd[i], strrchr(real, '/') + 1);
	}
	can_share = !mount(nodes[0], "/mnt", "erofs", MS_RDONLY, "inode_share,domain_id=d");
	if (can_share)
		umount("/mnt");
	end = seconds_now() + (getenv("STRESS_SECONDS") ? atoi(getenv("STRESS_SECONDS")) : 30);
	for (int i = 0; i < 4; i++)
		if (!fork())
			mounter(i);
	if (!fork())
		remover();
	while (wait(&status) > 0)
		ktap_eq(status, 0, "a process ended well");
	sleep(2);
	ktap_note("%ld mounts, %ld busy, %ld failed, %ld unbinds, %ld removals, %ld pins, %ld faults, %ld SIGBUS",
		  n->mounts, n->busy, n->fails, n->unbinds, n->removals, n->pins, n->faults, n->sigbus);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: memory whose last page is let go a moment after its device was removed can be used again
 * series: 3-memory
 * image: tree tree --dax
 * device: pmem:tree
 * device: ramdax:tree
 * timeout: 60
 */
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "carveout.h"
#include "ktap.h"
#include "pages.h"
#include "system.h"

static char bytes[PAGE_ROOM];

/* A child that keeps a page of a file in a pipe, for half a second after the unmount. */
static pid_t keep_page(const char *what)
{
	int fd = page_in_pipe("/mnt/data.65536", 0, bytes);
	pid_t pid;

	ktap_ok(fd >= 0, "%s: a page in a pipe", what);
	pid = fork();
	if (!pid) {
		usleep(500000);
		_exit(0);
	}
	close(fd);
	ktap_ok(!umount("/mnt"), "%s: unmount", what);
	return pid;
}

int main(void)
{
	char real[PATH_MAX] = "", node[PATH_MAX] = "";
	const char *name;
	pid_t pid;

	ktap_begin();
	realpath("/sys/block/pmem0/device", real);
	name = basename(real);
	ktap_ok(!mount("/dev/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "nd_pmem: mount");
	pid = keep_page("nd_pmem");
	ktap_ok(write_to("/sys/bus/nd/drivers/nd_pmem/unbind", name), "nd_pmem: remove the device");
	ktap_ok(waitpid(pid, NULL, 0) == pid, "nd_pmem: the page was let go");
	ktap_ok(write_to("/sys/bus/nd/drivers/nd_pmem/bind", name) &&
		!mount("/dev/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always") && !umount("/mnt"),
		"nd_pmem: it comes back, and can be mounted");

	ktap_ok(realpath("/dev/harness/ramdax0", node) && !mount(node, "/mnt", "erofs", MS_RDONLY, NULL), "fsdev_dax: mount");
	pid = keep_page("fsdev_dax");
	ktap_ok(carveout_driver("unbind", 0), "fsdev_dax: remove the device");
	ktap_ok(waitpid(pid, NULL, 0) == pid, "fsdev_dax: the page was let go");
	ktap_ok(carveout_driver("bind", 0) && !access(node, F_OK) && !mount(node, "/mnt", "erofs", MS_RDONLY, NULL) &&
		!umount("/mnt"), "fsdev_dax: it comes back, and can be mounted");
	ktap_ok(!times_said("pages are still in use"), "no memory was given up");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

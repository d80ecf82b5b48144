// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: two devices of a mount can be removed at the same time
 * config: EROFS_FS_RAMDAX
 * image: blob share blob
 * device: pmem:blob
 * device: pmem:blob.blob
 * cpus: 2
 * timeout: 90
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ktap.h"
#include "system.h"

static char names[2][100];

static char *nd_name(const char *disk)
{
	char path[200], real[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/block/%s/device", disk);
	return realpath(path, real) ? strdup(basename(real)) : "none";
}

/* Open each file once, so that it has an inode. */
static void open_all(void)
{
	DIR *d = opendir("/mnt");

	for (struct dirent *e; (e = readdir(d)); ) {
		char path[300];
		struct stat st;

		snprintf(path, sizeof(path), "/mnt/%s", e->d_name);
		if (!stat(path, &st) && S_ISREG(st.st_mode))
			close(open(path, O_RDONLY));
	}
	closedir(d);
}

/* Read a file of sysfs until it is gone, whenever nobody else runs. */
static void read_idly(const char *attr)
{
	struct sched_param param = { 0 };
	char c[32];
	int fd;

	sched_setscheduler(0, SCHED_IDLE, &param);
	while ((fd = open(attr, O_RDONLY)) >= 0 && read(fd, c, sizeof(c)) >= 0)
		close(fd);
	_exit(0);
}

/*
 * Has a process ended well?  It waits for the reader, which gets next to nothing
 * of the processors while two others spin, so these end before it is said to hang.
 */
static bool unbound(pid_t pid, const pid_t busy[2])
{
	int status = 0, t;

	for (t = 0; t < 200 && waitpid(pid, &status, WNOHANG) != pid; t++) {
		if (t == 20) {
			kill(busy[0], SIGKILL);
			kill(busy[1], SIGKILL);
		}
		usleep(100000);
	}
	if (t == 200)
		ktap_note("it hangs");
	else if (status)
		ktap_note("status %#x", status);
	return t < 200 && !status;
}

int main(void)
{
	char real[2][PATH_MAX], options[PATH_MAX + 20], attr[300];
	volatile int *go = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	time_t end = time(NULL) + 40;
	int rounds = 0;
	bool ok = true;

	ktap_begin();
	if (!realpath("/dev/harness/pmem0", real[0]) || !realpath("/dev/harness/pmem1", real[1]))
		return 1;
	snprintf(options, sizeof(options), "dax=always,device=%s", real[1]);
	snprintf(attr, sizeof(attr), "/sys/fs/erofs/%s/dax/mapped_bytes", basename(strdup(real[0])));
	for (int i = 0; i < 2; i++)
		snprintf(names[i], sizeof(names[i]), "%s", nd_name(basename(strdup(real[i]))));
	ktap_note("%s %s", names[0], names[1]);
	for (; time(NULL) < end && ok; rounds++) {
		pid_t pids[5];
		int status, i;

		*go = 0;
		if (mount(real[0], "/mnt", "erofs", MS_RDONLY, options)) {
			ktap_note("mount: %s", strerror(errno));
			ok = false;
			break;
		}
		open_all();
		for (i = 0; i < 5; i++) {
			pids[i] = fork();
			if (pids[i])
				continue;
			if (i >= 3)
				for (;;)
					;
			if (i == 2)
				read_idly(attr);
			while (!*go)
				;
			_exit(!write_to("/sys/bus/nd/drivers/nd_pmem/unbind", names[i]));
		}
		usleep(100000);
		*go = 1;
		for (i = 0; i < 2; i++) {
			if (!unbound(pids[i], pids + 3)) {
				ktap_note("round %d: unbind %d", rounds, i);
				ok = false;
			}
		}
		for (i = 2; i < 5; i++)
			kill(pids[i], SIGKILL);
		if (!ok)
			break;
		for (i = 2; i < 5; i++)
			waitpid(pids[i], &status, 0);
		umount("/mnt");
		for (i = 0; i < 2; i++)
			write_to("/sys/bus/nd/drivers/nd_pmem/bind", names[i]);
		if (!kernel_is_content())
			ok = false;
	}
	ktap_ok(ok, "%d rounds", rounds);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

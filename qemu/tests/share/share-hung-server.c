// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a FUSE server hangs that has the file of an older image: readers of the younger mount can be killed
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE FUSE_FS
 * image: base share base
 * image: packed share base -zlz4hc -C65536
 * device: blk:base
 * device: blk:packed
 * cpus: 2
 * timeout: 120
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dm.h"
#include "fuse.h"
#include "ktap.h"
#include "share.h"
#include "system.h"

#define NAME	"f.3000000"
#define FAR	2000000
#define MIDDLE	1000000
#define WORKERS	64		/* an image has so many, see erofs_fileio_init_super() */
#define METAS	4		/* pages of metadata that the readers can need */

static volatile bool *hang;

/* Without FUSE_ASYNC_READ, which fuse_serve() does not ask for, a read waits for the answer. */
static void read_image(int dev, const struct fuse_in_header *in, int disk)
{
	if (!*hang)
		fuse_answer_read(dev, in, disk);
}

static int read_far(const char *dir, const char *name)
{
	return share_read_at(dir, name, FAR);
}

static int map_middle(const char *dir, const char *name)
{
	volatile char *p = share_map(dir, name, FAR);

	return !p || p[MIDDLE] < 0;
}

/* Workers of the kernel that wait; idle ones are in state I. */
static int waiting_workers(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	char path[300], state;
	int n = 0;

	while ((entry = readdir(dir))) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		n += fscanf(file, "%*d (kworker/%*[^)]) %c", &state) == 1 && (state == 'D' || state == 'S');
		fclose(file);
	}
	closedir(dir);
	return n;
}

/* One after the other, as somebody would who may have one process. */
static bool kill_readers(const char *dir, int n)
{
	bool killed = true;
	pid_t pid;

	for (int i = 0; i < n; i++) {
		pid = fork();
		if (!pid)	/* backwards, so that nothing is read ahead */
			_exit(share_read_at(dir, NAME, (n - i) * 16384));
		for (int tries = 0; tries < 500 && !dm_waits(pid); tries++)
			usleep(1000);
		killed &= share_kill(pid, 10);
	}
	return killed;
}

/*
 * Without metadata in memory, the younger mount's readers need that of the older image first.
 * Many are killed if @most is not 0, and leave as many workers waiting at most.
 */
static void try(const char *image, bool metadata, int most)
{
	int (*const ways[])(const char *, const char *) = { read_far, map_middle };
	int disk = open(image, O_RDONLY), dev = fuse_mount("/box"), older, younger, workers;
	pid_t server, reader;
	char c;

	*hang = false;
	server = fork();
	if (!server)
		fuse_serve(dev, lseek(disk, 0, SEEK_END), read_image, disk);
	close(dev);
	ktap_ok(share_mount("/box/image", "/a", NULL) && share_mount("/dev/harness/blk0", "/b", NULL), "%s: mount two, %s metadata in memory", image, metadata ? "with" : "without");
	older = share_open("/a", NAME);
	younger = share_open("/b", NAME);
	if (metadata)
		ktap_ok(read_extents("/a/" NAME) && share_read("/a", "f.1", &c, 1) == 1, "it is there");
	else
		drop_caches("1");
	*hang = true;
	if (most) {
		ktap_ok(kill_readers("/b", 2 * most + 20), "readers are killed, a page each");
		workers = waiting_workers();
		ktap_ok(workers > 0 && workers <= most, "they leave some workers waiting, but not more than %d: %d", most, workers);
	}
	for (int i = 0; i < 2; i++) {
		reader = dm_begin(ways[i], "/b", NAME);
		ktap_ok(share_kill(reader, 10), "who %s it can be killed", i ? "maps" : "reads");
	}
	close(younger);
	ktap_ok(share_within(10, share_umount, "/b", ""), "the younger mount is unmounted");
	/* its device is closed, so that FUSE answers for it */
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	close(older);
	close(disk);
	ktap_ok(share_within(10, share_umount, "/a", ""), "the older one, too");
	umount2("/box", MNT_DETACH);
}

int main(void)
{
	ktap_begin();
	hang = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	try("/dev/harness/blk0", true, WORKERS);
	try("/dev/harness/blk1", true, 0);
	try("/dev/harness/blk1", false, METAS);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

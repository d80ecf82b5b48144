// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: while the disk of one mount hangs, the others of its domain do all that needs none of its bytes
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE DM_DELAY
 * image: base share base
 * image: lz4 share base -zlz4 -C65536
 * image: chunk share base --chunksize=4096
 * device: blk:base
 * device: blk:lz4
 * device: blk:chunk
 * cpus: 2
 * timeout: 150
 *
 * Each thing is done by a process of its own, in so many seconds.
 */
#include <dirent.h>

#include "dm.h"
#include "ktap.h"
#include "share.h"

#define SMALL		"f.300001"
#define SMALL_BYTES	300001
#define LARGE		"f.3000000"
#define LARGE_BYTES	3000000
#define HEAD		65536	/* of LARGE, is cached before the disk hangs */
#define FAR		2500000	/* in LARGE, is not cached */
#define MIDDLE		1200000	/* the same, and no read of it is in flight */
#define PAGE		4096
/* a loaded host is slow */
/* a disk that hangs, hangs for ever; debug kernels under emulation are slow */
#define SOON		10.0
#define MOUNT_SOON	1.0

static char good[LARGE_BYTES], got[LARGE_BYTES];
static char hung[32];


static int opens(const char *dir, const char *name)
{
	struct stat st;
	int fd = share_open(dir, name);

	return fd < 0 || fstat(fd, &st) || st.st_size < 1;
}

static int reads_all(const char *dir, const char *name)
{
	ssize_t n = share_read(dir, name, got, sizeof(got));

	return n < 1 || memcmp(got, good, n);
}

static int reads_head(const char *dir, const char *name)
{
	return pread(share_open(dir, name), got, HEAD, 0) != HEAD || memcmp(got, good, HEAD);
}

static int maps_head(const char *dir, const char *name)
{
	volatile char *p = share_map(dir, name, LARGE_BYTES);

	return !p || memcmp((char *)p, good, HEAD);
}

static int reads_far(const char *dir, const char *name)
{
	return pread(share_open(dir, name), got, PAGE, FAR) != PAGE || memcmp(got, good + FAR, PAGE);
}

static int reads_middle(const char *dir, const char *name)
{
	return pread(share_open(dir, name), got, PAGE, MIDDLE) != PAGE || memcmp(got, good + MIDDLE, PAGE);
}

static int maps_far(const char *dir, const char *name)
{
	volatile char *p = share_map(dir, name, LARGE_BYTES);

	return !p || madvise((void *)p, LARGE_BYTES, MADV_RANDOM) || memcmp((char *)p + FAR, good + FAR, PAGE);
}

static int lists(const char *dir, const char *unused)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	struct stat st;
	int n = 0;

	(void)unused;
	while (d && (entry = readdir(d)))
		n += !fstatat(dirfd(d), entry->d_name, &st, 0);
	return n < 15;
}

static int drops(const char *what, const char *unused)
{
	(void)unused;
	drop_caches(what);
	return 0;
}

static int mounts(const char *source, const char *dir)
{
	return !share_mount(source, dir, NULL);
}

static int counters(const char *unused, const char *name)
{
	(void)unused;
	return share_counter(NULL, name) < 0;
}

/* Put a page of a file into a pipe. Return: the end to read from */
static int spliced(const char *dir, const char *name)
{
	int fd = share_open(dir, name), ends[2];
	off_t offset = 0;

	if (pipe(ends) || splice(fd, &offset, ends[1], NULL, PAGE, 0) != PAGE)
		ktap_note("no page of %s/%s in a pipe: %s", dir, name, strerror(errno));
	close(fd);
	close(ends[1]);
	return ends[0];
}

/* seconds of CPU time that a process has used */
static double cpu_time(pid_t pid)
{
	unsigned long user = 0, kernel = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %lu %lu", &user, &kernel) != 2)
		ktap_note("no CPU time of %d", pid);
	if (file)
		fclose(file);
	return (double)(user + kernel) / sysconf(_SC_CLK_TCK);
}

/* Do something in a process of its own, which leaves no file open. */
static bool done(int (*call)(const char *, const char *), const char *dir, const char *name)
{
	return share_within(20, call, dir, name);
}

static void soon(int (*call)(const char *, const char *), const char *dir, const char *name, const char *what)
{
	ktap_ok(share_within(SOON, call, dir, name), "%s: %s %s", what, dir, name);
}

/* what any mount that is healthy goes on doing */
static void healthy(const char *dir, const char *why)
{
	soon(opens, dir, SMALL, why);
	soon(opens, dir, LARGE, why);
	soon(reads_all, dir, "f.65536", why);
	soon(reads_all, dir, "f.8192", why);
	soon(lists, dir, "", why);
	soon(counters, "", "cached_bytes", why);
	soon(counters, "", "saved_bytes", why);
}

/* Unmount the mount whose disk hangs, which has reads in flight; then let the disk go. */
static void unmount_hung(const char *dir, const char *other, bool provider)
{
	pid_t pid = fork();
	double used;
	int status;

	if (!pid)
		_exit(share_umount(dir, NULL));
	/* what it has to do before it waits is not counted */
	status = share_end(pid, 1);
	used = cpu_time(pid);
	status = status == -1 ? share_end(pid, 3) : status;
	used = status == -1 ? cpu_time(pid) - used : -1;
	ktap_ok(status == -1, "unmount of the hung mount waits for its reads (status %#x)", status);
	ktap_ok(used >= 0 && used < 0.5, "without burning time (got %.2f s of 3 s, want less than 0.5)", used);
	if (provider) {
		/* it provides nothing any more, so the next one does */
		soon(reads_middle, other, LARGE, "read what it had fed");
		soon(opens, other, SMALL, "open what it had fed");
	}
	healthy(other, "during that unmount");
	ktap_ok(dm_go("hung"), "the disk goes on");
	status = status == -1 ? share_end(pid, 20) : status;
	ktap_ok(!status, "then it is unmounted (status %#x)", status);
	soon(reads_all, other, SMALL, "read all");
	soon(reads_all, other, LARGE, "read all");
}

/* The older mount is healthy, the younger one hangs under a read. */
static void younger_hangs(const char *old, const char *young, const char *third)
{
	char page[PAGE];
	pid_t reader;
	int pipe_end;

	ktap_ok(share_mount(old, "/a", NULL) && dm_create("hung", young, "delay", "0", hung) &&
		share_mount(hung, "/b", NULL) && share_mount(third, "/c", NULL), "mount three");
	ktap_ok(done(opens, "/b", SMALL) && done(reads_head, "/b", LARGE), "files that the second one feeds");
	drop_caches("1");
	ktap_ok(done(reads_head, "/b", LARGE) && dm_hang("hung"), "its disk hangs");
	reader = dm_begin(reads_all, "/b", SMALL);
	healthy("/a", "younger disk hangs");
	soon(reads_all, "/a", SMALL, "younger disk hangs, read the same file");
	soon(reads_all, "/a", LARGE, "younger disk hangs, read the same file");
	soon(maps_far, "/a", LARGE, "younger disk hangs, map the same file");
	healthy("/c", "an older disk hangs");
	soon(reads_all, "/c", SMALL, "what the oldest has cached");
	pipe_end = spliced("/c", "f.65536");
	ktap_ok(share_within(MOUNT_SOON, share_umount, "/c", ""), "unmount a healthy one in %.0f s, a page of it in a pipe",
		MOUNT_SOON);
	ktap_ok(ktap_is(read(pipe_end, page, PAGE), ==, PAGE) && !memcmp(page, good, PAGE), "the page is right");
	close(pipe_end);
	soon(mounts, third, "/c", "mount it again");
	healthy("/c", "mounted again");
	pipe_end = spliced("/a", "f.65536");
	ktap_ok(share_within(MOUNT_SOON, share_umount, "/a", ""), "unmount the oldest in %.0f s, a page of it in a pipe",
		MOUNT_SOON);
	close(pipe_end);
	soon(reads_all, "/c", "f.65536", "the oldest is gone, read what it fed");
	soon(drops, "2", "", "drop caches");
	ktap_ok(share_kill(reader, SOON), "kill the reader that hangs");
	unmount_hung("/b", "/c", false);
	ktap_ok(!share_umount("/c", NULL) && dm_remove("hung"), "unmount all");
}

/* The older mount hangs, and feeds what younger ones want to read. */
static void older_hangs(const char *old, const char *young, const char *third)
{
	static const char *const dirs[] = { "/a", "/b", "/c" };
	pid_t reader, mapper, own;
	int pipe_end;

	ktap_ok(dm_create("hung", old, "delay", "0", hung) && share_mount(hung, "/a", NULL) &&
		share_mount(young, "/b", NULL) && share_mount(third, "/c", NULL), "mount three");
	for (int i = 0; i < 3; i++)
		if (!done(opens, dirs[i], SMALL) || !done(opens, dirs[i], LARGE))
			ktap_note("files of %s cannot be opened", dirs[i]);
	ktap_ok(done(reads_head, "/a", LARGE) && dm_hang("hung"), "the disk of the oldest hangs");
	reader = dm_begin(reads_all, "/b", SMALL);
	mapper = dm_begin(maps_far, "/c", LARGE);
	own = dm_begin(reads_all, "/a", SMALL);
	healthy("/b", "older disk hangs");
	healthy("/c", "older disk hangs");
	soon(reads_head, "/b", LARGE, "what is cached");
	soon(maps_head, "/b", LARGE, "what is cached");
	soon(reads_head, "/c", LARGE, "what is cached");
	ktap_ok(share_kill(reader, SOON), "kill a reader of a younger mount");
	ktap_ok(share_kill(mapper, SOON), "kill one who has it mapped");
	ktap_ok(share_kill(own, SOON), "kill a reader of the hung mount");
	reader = dm_begin(reads_far, "/b", LARGE);
	pipe_end = spliced("/c", LARGE);
	ktap_ok(share_within(MOUNT_SOON, share_umount, "/c", ""), "unmount a younger one in %.0f s, a page of it in a pipe",
		MOUNT_SOON);
	close(pipe_end);
	soon(mounts, third, "/c", "mount it again");
	healthy("/c", "mounted again");
	soon(reads_head, "/c", LARGE, "what is cached");
	ktap_ok(share_kill(reader, SOON), "kill the reader");
	unmount_hung("/a", "/c", true);
	ktap_ok(!share_umount("/b", NULL) && !share_umount("/c", NULL) && dm_remove("hung"), "unmount all");
}

int main(void)
{
	const char *plain = "/dev/harness/blk0", *lz4 = "/dev/harness/blk1", *chunk = "/dev/harness/blk2";

	ktap_begin();
	ktap_ok(share_plain(plain, "/plain") && share_read("/plain", LARGE, good, LARGE_BYTES) == LARGE_BYTES &&
		!umount("/plain"), "learn what files have");
	ktap_note("a plain disk hangs");
	younger_hangs(chunk, plain, lz4);
	older_hangs(plain, lz4, chunk);
	ktap_note("a disk with compressed files hangs");
	younger_hangs(plain, lz4, chunk);
	older_hangs(lz4, plain, chunk);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

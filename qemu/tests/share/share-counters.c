// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: the counters of a domain are for its administrator, right, and hold nobody up
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: base share base
 * image: next share next -zlz4hc,9
 * image: many share-forge many
 * device: blk:base
 * device: blk:next
 * device: blk:many
 * cpus: 2
 * memory: 512M
 * timeout: 120
 *
 * Linux 7.3 has no counters of DAX, since files on DAX do not share there yet.
 */
#include <sys/utsname.h>

#include "ktap.h"
#include "share.h"

#define MANY	20000	/* inodes that are walked */
#define SAMPLE	1000

static const char *const names[] = {
	"attached", "cached_bytes", "saved_bytes", "dax_bytes", "dax_saved_bytes", "provider_switches", "refused", "failed",
};
#define NAMES	(int)(sizeof(names) / sizeof(*names))

static const char old_disk[] = "/dev/harness/blk0", young_disk[] = "/dev/harness/blk1", many_disk[] = "/dev/harness/blk2";

/* Must this kernel count that? Whether it does is the test's matter. */
static bool counted(const char *name)
{
	struct utsname kernel;

	uname(&kernel);
	return strncmp(name, "dax_", 4) || strncmp(kernel.release, "7.3.", 4);
}

static void modes(const char *device)
{
	char path[PATH_MAX], real[PATH_MAX] = "";
	struct stat st;
	pid_t pid;

	if (device && !realpath(device, real))
		ktap_note("no %s", device);
	for (int i = 0; i < NAMES; i++) {
		if (!counted(names[i]))
			continue;
		snprintf(path, sizeof(path), "/sys/fs/erofs/%s%sinode_share/%s", device ? basename(real) : "",
			 device ? "/" : "", names[i]);
		st.st_mode = 0;
		stat(path, &st);
		pid = fork();
		if (!pid) {
			if (setgid(1000) || setuid(1000))
				_exit(1);
			_exit(open(path, O_RDONLY) >= 0 || errno != EACCES);
		}
		ktap_ok((st.st_mode & 07777) == 0400 && !share_end(pid, 10) && share_number(path, 0) >= 0,
			"%s %s: mode 0400, refused to others (got %#o, value %lld)", device ? "of a mount," : "of all,", names[i],
			st.st_mode & 07777, share_number(path, 0));
	}
}

static void is(const char *device, const char *name, long long want, const char *when)
{
	long long got = share_counter(device, name);

	ktap_ok(got == want, "%s: %s (got %lld, want %lld)", when, name, got, want);
}

static void values(void)
{
	char byte[2];
	int a, b;

	a = share_open("/a", "f.65536");
	is(old_disk, "attached", 1, "one file open");
	is(NULL, "cached_bytes", 0, "one file open");
	if (pread(a, byte, 1, 0) != 1 || share_read("/a", "f.65536", (char[65536]){ 0 }, 65536) != 65536)
		ktap_note("cannot read");
	is(NULL, "cached_bytes", 65536, "it is read");
	is(NULL, "saved_bytes", 0, "it is read");
	is(young_disk, "cached_bytes", 0, "it is read");
	b = share_open("/b", "f.65536");
	is(NULL, "attached", 2, "open in both");
	is(NULL, "cached_bytes", 65536, "open in both");
	is(NULL, "saved_bytes", 65536, "open in both");
	is(old_disk, "cached_bytes", 65536, "the older one provides");
	is(young_disk, "cached_bytes", 0, "the older one provides");
	is(young_disk, "saved_bytes", 65536, "the younger one saves");
	is(old_disk, "saved_bytes", 0, "the older one does not");
	if (counted("dax_bytes"))
		is(NULL, "dax_bytes", 0, "no DAX");
	is(NULL, "provider_switches", 0, "nobody has left");
	is(NULL, "refused", 0, "nobody is refused");
	close(a);
	ktap_ok(!umount("/a"), "unmount the older one");
	is(NULL, "provider_switches", 1, "the younger one provides");
	is(young_disk, "provider_switches", 1, "the younger one provides");
	is(young_disk, "cached_bytes", 65536, "the younger one provides");
	is(NULL, "attached", 1, "the younger one provides");
	close(b);
	ktap_ok(!umount("/b"), "unmount the younger one");
	share_settled(1);
	is(NULL, "attached", 0, "none is mounted");
	is(NULL, "cached_bytes", 0, "none is mounted");
	is(NULL, "saved_bytes", 0, "none is mounted");
}

/* read counters again and again, until somebody ends it */
static void read_counters(void)
{
	for (;;) {
		share_counter(NULL, "saved_bytes");
		share_counter(many_disk, "saved_bytes");
		share_counter(many_disk, "cached_bytes");
	}
}

/* Keep a processor as busy, with what has nothing to do with EROFS. */
static void read_other(void)
{
	char text[4096];
	int fd = open("/proc/vmstat", O_RDONLY);

	while (pread(fd, text, sizeof(text), 0) >= 0)
		;
	_exit(1);
}

/* microseconds for each lookup of an inode that was not there, and the longest of them */
static double lookups(int from, double *longest)
{
	double start = seconds_now(), before, took;
	char path[64];
	struct stat st;

	*longest = 0;
	for (int i = from; i < from + SAMPLE; i++) {
		snprintf(path, sizeof(path), "/many/%d/%d", i / 1000, i % 1000);
		before = seconds_now();
		if (stat(path, &st))
			ktap_note("%s: %s", path, strerror(errno));
		took = (seconds_now() - before) * 1e6;
		*longest = took > *longest ? took : *longest;
	}
	return (seconds_now() - start) * 1e6 / SAMPLE;
}

static void stalls(void)
{
	double with = 1e9, without = 1e9, longest, took;
	char name[32];
	pid_t pid;
	int at = MANY;

	ktap_ok(share_mount(many_disk, "/many", NULL), "mount many files");
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%d/%d", i / 1000, i % 1000);
		close(share_open("/many", name));
	}
	is(many_disk, "attached", MANY, "all are opened");
	/* the best of some, since the host is busy */
	for (int turn = 0; turn < 6; turn++, at += SAMPLE) {
		pid = fork();
		if (!pid && turn % 2)
			read_counters();
		if (!pid)
			read_other();
		took = lookups(at, &longest);
		share_kill(pid, 5);
		if (turn % 2)
			with = took < with ? took : with;
		else
			without = took < without ? took : without;
		ktap_note("%s are read: %.1f us for each lookup, the longest %.1f us", turn % 2 ? "counters" : "other files",
			  took, longest);
	}
	ktap_ok(with < 4 * without, "lookups do not wait for who reads counters (got %.1f us, else %.1f us)", with, without);
	ktap_ok(!umount("/many"), "unmount");
}

int main(void)
{
	ktap_begin();
	ktap_ok(share_mount(old_disk, "/a", NULL) && share_mount(young_disk, "/b", NULL), "mount two images");
	modes(NULL);
	modes(old_disk);
	values();
	stalls();
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

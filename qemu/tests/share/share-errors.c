// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a reader that is killed and a disk that fails never let a younger image feed an older one
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE BLK_DEV_LOOP DM_DELAY DM_FLAKEY
 * image: set share-set
 * image: box share box
 * image: lz4box share box -zlz4 -C65536
 * device: blk:set
 * device: blk:box
 * device: blk:lz4box
 * cpus: 2
 * timeout: 240
 *
 * The older image is the true one, on a slow disk, in each layout; the younger one
 * has other content under the same fingerprints.
 */
#include "dm.h"
#include "ktap.h"
#include "loop.h"
#include "share.h"

#define FILE_NAME	"f.300001"
#define FILE_BYTES	300001
#define LARGE_NAME	"f.3000000"
#define LARGE_BYTES	3000000
#define PAGE		4096
#define FAR		2000000	/* in LARGE_NAME */
#define TRIES		40
#define FAILS		"0 1 1 error_reads"

/* the true image, or the device of a file system that has it as the file "image" */
static const struct layout { const char *path, *name; } layouts[] = {
	{ "/set/inline1k", "blocks of 1 KiB, inline tail" }, { "/set/base", "inline tail" },
	{ "/set/chunk", "chunks" }, { "/set/lz4", "lz4" }, { "/set/lzma", "lzma" },
	{ "/dev/harness/blk1", "in a file" }, { "/dev/harness/blk2", "lz4 in a file" },
};
#define NR_LAYOUTS	(int)(sizeof(layouts) / sizeof(*layouts))

/* a shorter file of the recipe is the beginning of a longer one */
static char good[LARGE_BYTES], bad[LARGE_BYTES], got[LARGE_BYTES];
static char slow[32], disk[32];
/* the counter never goes back; what it was before a layout */
static long long failed_before;

static long long failed(void)
{
	return share_counter(NULL, "failed") - failed_before;
}

static bool mount_young(void)
{
	char device[32];
	int loop = loop_attach("/set/forged", device);
	bool ok = loop >= 0 && share_mount(device, "/b", NULL);

	close(loop);
	return ok;
}

static bool in_file(const struct layout *l)
{
	return !strncmp(l->path, "/dev/", 5);
}

/* Mount the true image on a slow disk, and then the forged one. */
static bool set_up(const struct layout *l)
{
	int loop = -1;
	bool ok;

	if (in_file(l))
		snprintf(disk, sizeof(disk), "%s", l->path);
	else
		loop = loop_attach(l->path, disk);
	ok = dm_create("slow", disk, "delay", "5", slow);
	close(loop);
	if (in_file(l))
		ok = ok && share_plain(slow, "/box") && share_mount("/box/image", "/a", NULL);
	else
		ok = ok && share_mount(slow, "/a", NULL);
	return ok && mount_young();
}

static bool clean_up(const struct layout *l)
{
	bool ok = !umount("/b") && !umount("/a");

	if (in_file(l))
		ok &= !umount("/box");
	return dm_remove("slow") && ok;
}

/* How many pages of @p are those of the forged file, and not of the true one? */
static int forged(const char *p, size_t bytes)
{
	int n = 0;

	for (size_t at = 0; at < bytes; at += PAGE) {
		size_t size = bytes - at < PAGE ? bytes - at : PAGE;

		n += memcmp(p + at, good + at, size) && !memcmp(p + at, bad + at, size);
	}
	return n;
}

/* set by the reader that is to be killed, when it begins */
static volatile bool *begins;

/* Read through the younger mount, in a way that depends on @how. */
static void victim(int how)
{
	int fd = share_open("/b", FILE_NAME);
	volatile char *p = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);

	madvise((void *)p, FILE_BYTES, MADV_RANDOM);
	*begins = true;
	if (how % 3 == 0)
		_exit(pread(fd, got, FILE_BYTES, 0) != FILE_BYTES);
	/* the end is where tails are */
	for (int at = FILE_BYTES - 1; how % 3 == 1 && at >= 0; at -= PAGE)
		(void)p[at];
	for (int i = 0; i < 200; i++)
		(void)p[rand() % FILE_BYTES];
	_exit(0);
}

/* Let somebody read through the younger mount, and be killed after @us. */
static bool killed(int how, int us)
{
	pid_t pid;

	*begins = false;
	pid = fork();
	if (!pid)
		victim(how);
	for (int i = 0; i < 20000 && !*begins; i++)
		usleep(50);
	usleep(us);
	return share_kill(pid, 10);
}

static void killed_readers(const struct layout *l)
{
	int seen = 0, wrong = 0, ended = 0;
	ssize_t n = 0;

	close(share_open("/a", FILE_NAME));
	close(share_open("/b", FILE_NAME));
	for (int i = 0; i < TRIES; i++) {
		drop_caches("1");
		ended += killed(i, rand() % 12000);
		n = share_read("/a", FILE_NAME, got, FILE_BYTES);
		seen += forged(got, FILE_BYTES);
		wrong += n != FILE_BYTES || memcmp(got, good, FILE_BYTES);
	}
	ktap_ok(ended == TRIES, "%s: readers can be killed (%d of %d)", l->name, ended, TRIES);
	ktap_ok(!seen && !wrong, "%s: the older mount has its own bytes (got %d forged pages, %d of %d reads wrong, want 0)",
		l->name, seen, wrong, TRIES);
	drop_caches("1");
	share_read("/b", FILE_NAME, got, FILE_BYTES);
	ktap_ok(!memcmp(got, good, FILE_BYTES) && share_cached("/a", FILE_NAME) == pages_of(FILE_BYTES),
		"%s: the younger mount shares still (%ld pages in the older one's cache)", l->name,
		share_cached("/a", FILE_NAME));
	ktap_ok(failed() == 0, "%s: nothing is counted as failed (got %lld, want 0)", l->name, failed());
	failed_before += failed();
}

/* what a read at FAR gives: 'g'ood, 'b'ad, 'e'rror, '?' something else */
static char far_read(int fd)
{
	char buffer[PAGE];
	ssize_t n = pread(fd, buffer, PAGE, FAR);

	return n < 0 && errno == EIO ? 'e' : n != PAGE ? '?' : !memcmp(buffer, good + FAR, PAGE) ? 'g' :
		!memcmp(buffer, bad + FAR, PAGE) ? 'b' : '?';
}

/* the same by a mapping, in a process of its own; 'e': SIGBUS */
static char far_fault(const char *dir)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		volatile char *p = share_map(dir, LARGE_NAME, LARGE_BYTES);

		_exit(!p ? '?' : memcmp((char *)p + FAR, good + FAR, PAGE) ? 'b' : 'g');
	}
	status = share_end(pid, 10);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS ? 'e' : WIFEXITED(status) ? WEXITSTATUS(status) : '?';
}

static void failing_disk(const struct layout *l)
{
	int a, b, far = 0;
	char r[8];

	drop_caches("1");
	a = share_open("/a", LARGE_NAME);
	b = share_open("/b", LARGE_NAME);
	dm_reload("slow", disk, "delay", "0");
	if (pread(a, got, 65536, 0) != 65536)
		ktap_note("the older mount cannot be read");
	/* the file system around the image reads ahead, too */
	far = in_file(l) ? open("/box/image", O_RDONLY) : -1;
	for (int i = 0; far >= 0 && share_cached("/box", "image") && i < 100; i++) {
		usleep(10000);
		posix_fadvise(far, 0, 0, POSIX_FADV_DONTNEED);
	}
	close(far);
	/* metadata of the file system is there; data at FAR is not */
	ktap_ok(dm_reload("slow", disk, "flakey", FAILS), "%s: the older disk fails", l->name);
	posix_fadvise(b, FAR, 65536, POSIX_FADV_WILLNEED);
	usleep(50000);
	ktap_ok(failed() == 0, "%s: readahead that fails counts for nothing (got %lld, want 0)", l->name, failed());
	r[0] = far_read(a);
	r[1] = far_fault("/a");
	r[2] = far_read(b);
	r[3] = far_fault("/b");
	ktap_ok(!memcmp(r, "eeee", 4), "%s: all who are attached get the error (older by read, by fault, younger: got %.4s, want eeee)",
		l->name, r);
	far = pread(b, got, 65536, 0);
	ktap_ok(far == 65536 && !memcmp(got, good, 65536), "%s: what is cached stays", l->name);
	ktap_ok(failed() == 1, "%s: it is counted (got %lld, want 1)", l->name, failed());
	close(b);
	b = share_open("/b", LARGE_NAME);
	r[0] = far_read(b);
	r[1] = far_read(a);
	r[2] = far_fault("/b");
	r[3] = far_fault("/a");
	ktap_ok(!memcmp(r, "bebe", 4), "%s: opened anew, the younger one has its own copy, the older one has not (got %.4s, want bebe)",
		l->name, r);
	dm_reload("slow", disk, "delay", "0");
	r[0] = far_read(a);
	close(a);
	a = share_open("/a", LARGE_NAME);
	r[1] = far_read(a);
	r[2] = far_read(b);
	ktap_ok(!memcmp(r, "ggb", 3), "%s: a disk that works again gives the older mount its own bytes (got %.3s, want ggb)",
		l->name, r);
	close(b);
	b = share_open("/b", LARGE_NAME);
	ktap_ok(far_read(b) == 'b', "%s: and the younger one keeps its own copy", l->name);
	close(a);
	close(b);
	ktap_ok(sums_ok("/a"), "%s: content of the older mount", l->name);
}

/* Reads that fail, again and again, while the inode cannot go: that must cost nothing that stays. */
static void failing_forever(void)
{
	int held = open("/a/" LARGE_NAME, O_PATH), fd, turns = 300, errors = 0;
	long before, after;
	char byte;

	dm_reload("slow", disk, "flakey", FAILS);
	drop_caches("1");
	before = shared_inodes();
	for (int i = 0; i < turns; i++) {
		fd = share_open("/a", LARGE_NAME);
		errors += pread(fd, &byte, 1, FAR) < 0;
		close(fd);
	}
	after = shared_inodes();
	ktap_ok(errors == turns && after - before < 10, "reads that fail leave nothing behind (got %ld shared inodes more after %d of %d, want less than 10)",
		after - before, errors, turns);
	close(held);
	dm_reload("slow", disk, "delay", "0");
}

int main(void)
{
	char device[32];
	int loop;

	ktap_begin();
	begins = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ktap_ok(share_plain("/dev/harness/blk0", "/set"), "mount the image that holds the images");
	for (int i = 0; i < 2; i++) {
		loop = loop_attach(i ? "/set/forged" : "/set/base", device);
		ktap_ok(share_plain(device, "/plain") &&
			share_read("/plain", LARGE_NAME, i ? bad : good, LARGE_BYTES) == LARGE_BYTES, "learn what files have");
		close(loop);
		umount("/plain");
	}
	for (int i = 0; i < NR_LAYOUTS; i++) {
		if (!ktap_ok(set_up(&layouts[i]), "%s: mount the true image, then the forged one", layouts[i].name))
			break;
		failed_before = share_counter(NULL, "failed");
		killed_readers(&layouts[i]);
		failing_disk(&layouts[i]);
		if (i == 0)
			failing_forever();
		ktap_ok(clean_up(&layouts[i]), "%s: unmount", layouts[i].name);
	}
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

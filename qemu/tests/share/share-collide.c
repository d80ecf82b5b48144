// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: fingerprints that somebody has chosen to collide, or that are long, cost what others cost
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: forge share-forge collide
 * device: blk:forge
 * device: blk:forge
 * cpus: 2
 * memory: 512M
 * flavours: fast
 * timeout: 120
 */
#include <sys/resource.h>

#include "ktap.h"
#include "share.h"

#define FILES	8000
#define SAMPLE	500
/* how much dearer something may be and still be called equal */
#define FACTOR	3

static const char disk[] = "/dev/harness/blk0", other_disk[] = "/dev/harness/blk1";

static int open_nth(const char *dir, const char *folder, int n)
{
	char name[64];

	snprintf(name, sizeof(name), "%s/%d", folder, n);
	return share_open(dir, name);
}

static void stat_nth(const char *dir, const char *folder, int n)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s/%d", dir, folder, n);
	if (stat(path, &st))
		ktap_note("%s: %s", path, strerror(errno));
}

/* microseconds for an open of files @from to @from + SAMPLE; the least, as a busy host stops the guest now and then */
static double opens(const char *folder, int from)
{
	double least = 1e9, took;

	for (int i = from; i < from + SAMPLE; i++) {
		double start = seconds_now();
		int fd = open_nth("/a", folder, i);

		if (fd < 0)
			ktap_note("%s/%d: %s", folder, i, strerror(errno));
		close(fd);
		took = (seconds_now() - start) * 1e6;
		least = took < least ? took : least;
	}
	return least;
}

/* Open all files of a folder. Return: whether the last ones cost what the first ones did */
static bool opens_equal(const char *folder)
{
	double first, last = 0;

	/* what is to be measured is open(2), not the search for names */
	for (int i = 0; i < FILES; i++)
		stat_nth("/a", folder, i);
	first = opens(folder, 0);
	for (int i = SAMPLE; i < FILES && last < 20 * FACTOR * first; i += SAMPLE)
		last = opens(folder, i);
	return ktap_ok(last < FACTOR * first, "%s: the last opens cost what the first did (got %.1f us, first %.1f us, want a factor below %d)",
		       folder, last, first, FACTOR);
}

/* memory of all slabs in KiB */
static long slab(void)
{
	char line[128];
	long kib = -1;
	FILE *file = fopen("/proc/meminfo", "r");

	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Slab: %ld", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

/* bytes of slab for each file that is opened, and not only looked up */
static long bytes_for_each(const char *folder)
{
	long before;

	for (int i = 0; i < FILES; i++)
		stat_nth("/a", folder, i);
	before = slab();
	for (int i = 0; i < FILES; i++)
		close(open_nth("/a", folder, i));
	return (slab() - before) * 1024 / FILES;
}

/* microseconds for a lookup of an inode of a mount that has nothing to do with it; the best mean of some */
static double lookups(void)
{
	double best = 1e9, start, took;

	for (int turn = 0; turn < 5; turn++) {
		drop_caches("2");
		start = seconds_now();
		for (int i = 0; i < SAMPLE; i++)
			stat_nth("/other", "plain", i);
		took = (seconds_now() - start) * 1e6 / SAMPLE;
		best = took < best ? took : best;
	}
	return best;
}

/* open files of a folder again and again, until somebody ends it */
static void opener(const char *folder)
{
	for (int i = 0; ; i = (i + 1) % 1000) {
		close(open_nth("/a", folder, FILES - 1 - i));
		/* others' inodes are reclaimed, these with them */
		close(open_nth("/a", folder, i));
	}
}

static void unrelated(const char *folder)
{
	double with, without;
	pid_t pid;

	ktap_ok(share_plain(other_disk, "/other"), "mount an image that does not share");
	pid = fork();
	if (!pid)
		opener("plain");
	without = lookups();
	share_kill(pid, 5);
	/* keep those that collide, which drop_caches would take */
	for (int i = 0; i < 4000; i++)
		open_nth("/a", folder, i);
	pid = fork();
	if (!pid)
		opener(folder);
	with = lookups();
	share_kill(pid, 5);
	ktap_ok(with < FACTOR * without, "%s: lookups elsewhere do not mind (got %.1f us, with others opened %.1f us)",
		folder, with, without);
	umount("/other");
	for (int fd = 3; fd < 4100; fd++)
		close(fd);
}

/*
 * Open all files of a folder. They are found in one order and opened in the other, so
 * that they are evicted in the order in which they were opened.
 * Return: seconds that the unmount takes.
 */
static double unmounts(const char *folder)
{
	ktap_ok(share_mount(disk, "/a", NULL), "mount it again");
	for (int i = 0; i < FILES; i++)
		stat_nth("/a", folder, i);
	for (int i = FILES - 1; i >= 0; i--)
		close(open_nth("/a", folder, i));
	ktap_ok(share_within(60, share_umount, "/a", ""), "unmount");
	return share_spent;
}

int main(void)
{
	static const char *const folders[] = { "same", "jhash", "long" };
	char got[32], first[32];
	double plain_took, took;
	long plain, longer;

	ktap_begin();
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ FILES, FILES });
	ktap_ok(share_mount(disk, "/a", NULL), "mount");
	opens_equal("plain");
	for (int i = 0; i < 3; i++)
		opens_equal(folders[i]);
	share_read("/a", "same/0", first, 32);
	share_read("/a", "same/7999", got, 32);
	ktap_ok(!memcmp(first, got, 32), "files that claim to be equal are, in the eyes of their own image");
	ktap_ok(!umount("/a"), "unmount");

	ktap_ok(share_mount(disk, "/a", NULL), "mount it again");
	plain = bytes_for_each("plain");
	longer = bytes_for_each("long");
	ktap_ok(longer < plain + 200, "fingerprints of 71 bytes cost their length (got %ld bytes of slab for each file, with 39 bytes %ld)",
		longer, plain);
	unrelated("jhash");
	ktap_ok(!umount("/a"), "unmount");

	plain_took = unmounts("plain");
	took = unmounts("same");
	ktap_ok(took < FACTOR * plain_took + 0.2, "%d files that claim to be equal are not dear to unmount (got %.2f s, others %.2f s, want a factor below %d)",
		FILES, took, plain_took, FACTOR);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

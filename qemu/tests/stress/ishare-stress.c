// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: forged images, killed readers, hung and failing disks, and little memory never change what older mounts read
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE DM_DELAY DM_FLAKEY FAULT_INJECTION
 * config: EROFS_FS_RAMDAX FS_DAX
 * image: base share base
 * image: next share next -zlz4hc,9
 * image: chunk share base --chunksize=4096 -b1024
 * image: zstd share base -zzstd -C65536 -Efragments
 * image: forged share forged
 * image: flz4 share forged -zlz4 -C65536
 * image: fchunk share forged --chunksize=4096
 * image: cut share cut
 * image: set share-set
 * image: dax share base --dax
 * image: daxforged share forged --dax
 * device: blk:base
 * device: blk:next
 * device: blk:chunk,iops=200
 * device: blk:zstd
 * device: blk:next
 * device: blk:forged
 * device: blk:flz4
 * device: blk:fchunk
 * device: blk:cut
 * device: blk:cut.blob
 * device: blk:set
 * device: pmem:dax
 * device: pmem:daxforged
 * cpus: 2
 * memory: 384M
 * flavours: debug
 * timeout: 60
 * stress: 170
 *
 * In each epoch true images are mounted first: plain, compressed, chunked with small
 * blocks, in a file, on DAX; one disk is slow and hangs now and then, one is
 * throttled.  Then younger ones are mounted and unmounted all the time, most of them with
 * other content under the same fingerprints.  Meanwhile files are read, mapped
 * and advised about in each of them, readers are killed, caches are dropped,
 * allocations fail, and older mounts go.  Each byte that is read is compared: an older
 * mount has the true ones, and never an error, unless its own disk is the one that
 * fails; a younger one has true or forged ones.  STRESS_SECONDS in the environment says
 * how long.
 */
#include <setjmp.h>
#include <sys/prctl.h>

#include "dm.h"
#include "ktap.h"
#include "share.h"

#define SHARE		"inode_share,domain_id=d"
#define PAGE		4096
#define EPOCH		20	/* seconds */
#define NR_READERS	5
#define NR_VICTIMS	3

static char slow[32], flaky[32], forged[32];
/*
 * The older ones come first, each younger than the one before.  @can_fail: there can
 * be errors; the youngest of the older ones is on a disk that fails, so that nobody
 * older uses what it feeds.
 */
static const struct { const char *source, *options; bool old, can_fail; } mounts[] = {
	{ slow, SHARE, true, false },
	{ "/dev/harness/blk1", SHARE, true, false },
	{ "/dev/harness/blk2", SHARE, true, false },
	{ "/dev/harness/blk3", SHARE, true, false },
	{ "/set/base", SHARE, true, false },
	{ "/dev/harness/pmem0", SHARE ",dax=always", true, false },
	{ flaky, SHARE, true, true },
	{ forged, SHARE, false, true },
	{ "/dev/harness/blk6", SHARE, false, true },
	{ "/dev/harness/blk7", SHARE, false, true },
	{ "/dev/harness/blk8", SHARE ",device=/dev/harness/blk9", false, true },
	{ "/set/forged", SHARE, false, true },
	{ "/set/lzma", SHARE, false, true },
	{ "/dev/harness/pmem1", SHARE ",dax=always", false, true },
};
#define NR_MOUNTS	(int)(sizeof(mounts) / sizeof(*mounts))

static struct { const char *name; size_t size; char *data, *forged; } files[] = {
	{ .name = "f.1" }, { .name = "f.511" }, { .name = "f.1024" }, { .name = "f.4095" }, { .name = "f.4096" },
	{ .name = "f.4097" }, { .name = "f.65536" }, { .name = "f.300001" }, { .name = "f.3000000" },
	{ .name = "same.1" }, { .name = "same.2" }, { .name = "same.3" },
};
#define NR_FILES	(int)(sizeof(files) / sizeof(*files))

/* what the readers have done, shared between all processes */
static struct { long reads, faults, failed, starved, mounts, killed, forged, hung, gone; } *done;

static void count(long *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static void pause_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL);
}

static bool learn(const char *image, bool is_forged)
{
	struct stat st;

	if (!share_plain(image, "/plain"))
		return false;
	for (int i = 0; i < NR_FILES; i++) {
		int fd = share_open("/plain", files[i].name);
		char *data;

		if (fd < 0 || fstat(fd, &st))
			return false;
		close(fd);
		data = malloc(st.st_size);
		files[i].size = st.st_size;
		*(is_forged ? &files[i].forged : &files[i].data) = data;
		if (share_read("/plain", files[i].name, data, st.st_size) != st.st_size)
			return false;
	}
	return !umount("/plain");
}

/* Let the n-th allocation of this process from here on fail; 0: none any more. */
static void starve(int n)
{
	static int fd = -1;	/* opening it allocates */
	char text[16] = "";

	if (fd < 0)
		fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (n == 0 && pread(fd, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0)
		count(&done->starved);
	if (pwrite(fd, text, snprintf(text, sizeof(text), "%d", n), 0) < 0)
		_exit(9);
}

/* is an error one that this mount, or an allocation that failed, can give? */
static bool excused(int m, int error, bool starved)
{
	return (mounts[m].can_fail && error == EIO) || (starved && (error == ENOMEM || error == EIO));
}

/* Compare bytes of a file with what they may be in this mount; ends the process if they are wrong. */
static void compare(int m, int f, const char *got, size_t offset, size_t size)
{
	for (size_t at = offset; at < offset + size; ) {
		size_t end = (at / PAGE + 1) * PAGE, n = (end < offset + size ? end : offset + size) - at;

		if (memcmp(got + at - offset, files[f].data + at, n)) {
			if (mounts[m].old || memcmp(got + at - offset, files[f].forged + at, n)) {
				ktap_note("%s: %s in %s has wrong bytes at %zu", mounts[m].old ? "an older mount" : "a younger mount",
					  files[f].name, mounts[m].source, at);
				_exit(2);
			}
			count(&done->forged);
		}
		at += n;
	}
}

/* an error that must not be */
static void fault_of(int m, int f, const char *what, int error)
{
	ktap_note("%s of %s in %s: %s", what, files[f].name, mounts[m].source, strerror(error));
	_exit(3);
}

static void mounter(int i, unsigned int seed)
{
	char dir[32];

	snprintf(dir, sizeof(dir), "/m%d", i);
	for (;;) {
		bool hungry = rand_r(&seed) % 4 == 0;
		int err;

		if (hungry)
			starve(1 + rand_r(&seed) % 150);
		err = mount(mounts[i].source, dir, "erofs", MS_RDONLY, mounts[i].options) ? errno : 0;
		if (hungry)
			starve(0);
		if (!err)
			count(&done->mounts);
		/* ENOENT: the mount below, to be mounted on, was detached meanwhile */
		else if (err != EBUSY && err != ENOENT && !excused(i, err, hungry)) {
			ktap_note("mount %s%s: %s", mounts[i].source, hungry ? " with little memory" : "", strerror(err));
			_exit(4);
		}
		pause_ms(rand_r(&seed) % 400);
		/* lazily: the last close of a reader unmounts it */
		umount2(dir, rand_r(&seed) % 2 ? MNT_DETACH : 0);
		pause_ms(rand_r(&seed) % 50);
	}
}

static sigjmp_buf no_page;

static void on_bus(int sig)
{
	siglongjmp(no_page, sig);
}

/* touch the pages of a mapping; false if the file gives an error there */
static bool look(const char *map, int m, int f, size_t offset, size_t end)
{
	volatile size_t at = offset;

	if (sigsetjmp(no_page, 1))
		return false;
	for (; at < end; at += PAGE)
		compare(m, f, map + at, at, 1);
	return true;
}

static void map_some(int fd, int m, int f, size_t offset, size_t size, unsigned int *seed)
{
	char *map = mmap(NULL, files[f].size, PROT_READ, rand_r(seed) % 2 ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	size_t end = size < files[f].size - offset ? offset + size : files[f].size;

	if (map == MAP_FAILED)
		fault_of(m, f, "mmap", errno);
	if (rand_r(seed) % 2)
		madvise(map, files[f].size, MADV_RANDOM);
	if (look(map, m, f, offset, end))
		count(&done->faults);
	else if (!mounts[m].can_fail)
		fault_of(m, f, "fault", EIO);
	munmap(map, files[f].size);
}

static void read_some(int fd, int m, int f, size_t offset, size_t size, bool hungry)
{
	static char buffer[300000] __attribute__((aligned(PAGE)));
	size_t wanted = size < files[f].size - offset ? size : files[f].size - offset;
	ssize_t n = pread(fd, buffer, size, offset);
	int err = errno;

	if (hungry)
		starve(0);
	if (n < 0 && !excused(m, err, hungry))
		fault_of(m, f, "read", err);
	/* less is read where an error follows */
	if (n >= 0 && (size_t)n != wanted && !mounts[m].can_fail && !hungry)
		fault_of(m, f, "short read", 0);
	if (n > 0)
		compare(m, f, buffer, offset, n);
	count(n < 0 ? &done->failed : &done->reads);
}

static void reader(unsigned int seed)
{
	char dir[32];

	signal(SIGBUS, on_bus);
	for (;;) {
		int m = rand_r(&seed) % NR_MOUNTS, f = rand_r(&seed) % NR_FILES, op = rand_r(&seed) % 10, fd, err;
		size_t offset = rand_r(&seed) % files[f].size, size = 1 + rand_r(&seed) % 300000;
		bool hungry = op >= 8;

		snprintf(dir, sizeof(dir), "/m%d", m);
		if (hungry)
			starve(1 + rand_r(&seed) % 60);
		fd = share_open(dir, files[f].name);
		if (fd < 0) {
			err = errno;
			if (hungry)
				starve(0);
			if (err != ENOENT && !excused(m, err, hungry))
				fault_of(m, f, "open", err);
			pause_ms(1);
			continue;
		}
		if (op == 0)
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		else if (op == 1)
			posix_fadvise(fd, offset, size, POSIX_FADV_WILLNEED);
		else if (op < 5)
			map_some(fd, m, f, offset, size, &seed);
		else
			read_some(fd, m, f, offset, size, hungry);
		close(fd);
	}
}

/* Start readers and kill them. */
static void killer(unsigned int seed)
{
	const pid_t self = getpid();

	for (;;) {
		int status;
		pid_t pid = fork();

		if (!pid) {
			die_with(self);
			reader(seed);
		}
		seed += 1000;
		pause_ms(rand_r(&seed) % 60);
		kill(pid, SIGKILL);
		if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
			_exit(WEXITSTATUS(status));
		count(&done->killed);
	}
}

/* Let disks hang for moments, and older mounts go for good. */
static void breaker(unsigned int seed)
{
	char dir[32];

	for (;;) {
		const char *name = rand_r(&seed) % 2 ? "slow" : "forged";

		pause_ms(rand_r(&seed) % 300);
		if (dm_hang(name))
			count(&done->hung);
		pause_ms(rand_r(&seed) % 300);
		dm_go(name);
		if (rand_r(&seed) % 12)
			continue;
		snprintf(dir, sizeof(dir), "/m%d", rand_r(&seed) % NR_MOUNTS);
		if (!umount2(dir, rand_r(&seed) % 2 ? MNT_DETACH : 0))
			count(&done->gone);
	}
}

static void dropper(unsigned int seed)
{
	for (;;) {
		drop_caches(&"1\0002\0003"[2 * (rand_r(&seed) % 3)]);
		if (system("cat /sys/fs/erofs/inode_share/* /sys/fs/erofs/*/inode_share/* > /dev/null 2>&1") < 0)
			_exit(8);
		/* and take memory, for a moment */
		if (rand_r(&seed) % 4 == 0) {
			size_t size = (16 + rand_r(&seed) % 48) << 20;
			char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

			munmap(p, size);
		}
		pause_ms(rand_r(&seed) % 100);
	}
}

#define BREAKER		(NR_MOUNTS + NR_READERS + NR_VICTIMS)
#define NR_PROCESSES	(BREAKER + 2)	/* and the dropper */

static pid_t start(int i, unsigned int seed)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (i < NR_MOUNTS && !mounts[i].old)
		mounter(i, seed);
	i -= NR_MOUNTS;
	if (i < 0)
		_exit(0);
	if (i < NR_READERS)
		reader(seed);
	if (i < NR_READERS + NR_VICTIMS)
		killer(seed);
	if (i == BREAKER - NR_MOUNTS)
		breaker(seed);
	dropper(seed);
	_exit(0);
}


/* Has an older mount whose disk is good been counted as failed? Little memory is no reason. */
static bool has_failed(void)
{
	bool failed = false;

	for (int i = 0; i < NR_MOUNTS; i++) {
		long long n = mounts[i].can_fail || !strncmp(mounts[i].source, "/set", 4) ? 0 :
			share_counter(mounts[i].source, "failed");

		if (n > 0)
			ktap_note("%s: counted as failed %lld times", mounts[i].source, n);
		failed |= n > 0;
	}
	return failed;
}

/* Mount the older images, and let all go on for some seconds. Return: did nobody find a fault? */
static bool epoch(int seconds, unsigned int seed)
{
	pid_t pids[NR_PROCESSES];
	double end = seconds_now() + seconds;
	bool good = true;
	char dir[32];
	int status;

	for (int i = 0; i < NR_MOUNTS && mounts[i].old; i++) {
		snprintf(dir, sizeof(dir), "/m%d", i);
		if (mount(mounts[i].source, dir, "erofs", MS_RDONLY, mounts[i].options) && !mounts[i].can_fail) {
			ktap_note("mount %s: %s", mounts[i].source, strerror(errno));
			good = false;
		}
	}
	for (int i = 0; i < NR_PROCESSES; i++)
		pids[i] = start(i, seed + i);
	while (seconds_now() < end && good) {
		pause_ms(100);
		for (int i = 0; i < NR_PROCESSES; i++) {
			if (!pids[i] || waitpid(pids[i], &status, WNOHANG) != pids[i])
				continue;
			pids[i] = 0;
			if (!status)
				continue;
			ktap_note("process %d ended with status %#x", i, status);
			good = false;
		}
	}
	/* The breaker first: what it is about to do would let the disks hang again. */
	if (pids[BREAKER]) {
		kill(pids[BREAKER], SIGKILL);
		waitpid(pids[BREAKER], NULL, 0);
		pids[BREAKER] = 0;
	}
	for (int i = 0; i < NR_PROCESSES; i++)
		if (pids[i])
			kill(pids[i], SIGKILL);
	dm_go("slow");
	dm_go("forged");
	/* those of a killer, too */
	while (waitpid(-1, NULL, 0) > 0)
		;
	good &= !has_failed();
	for (int i = 0; i < NR_MOUNTS; i++) {
		snprintf(dir, sizeof(dir), "/m%d", i);
		for (int tries = 0; tries < 100 && (!umount(dir) || errno == EBUSY); tries++)
			pause_ms(errno == EBUSY ? 20 : 0);
	}
	return good;
}

static bool set_up(void)
{
	char dir[32];

	for (int i = 0; i < NR_MOUNTS; i++) {
		snprintf(dir, sizeof(dir), "/m%d", i);
		mkdir(dir, 0755);
	}
	write_to("/sys/kernel/debug/failslab/ignore-gfp-wait", "0");
	write_to("/sys/kernel/debug/failslab/verbose", "0");
	write_to("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "0");
	write_to("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	write_to("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	return learn("/dev/harness/blk0", false) && learn("/dev/harness/blk5", true) &&
		share_plain("/dev/harness/blk10", "/set") &&
		dm_create("slow", "/dev/harness/blk0", "delay", "5", slow) &&
		dm_create("forged", "/dev/harness/blk5", "delay", "1", forged) &&
		dm_create("flaky", "/dev/harness/blk4", "flakey", "2 1 1 error_reads", flaky);
}

int main(void)
{
	const char *text = getenv("STRESS_SECONDS");
	int seconds = text ? atoi(text) : 30, epochs = 0;
	double end;
	bool good = true;

	ktap_begin();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	ktap_ok(set_up(), "set up a disk that is slow and hangs, one that fails, and learn what files have");
	done = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (end = seconds_now() + seconds; good && seconds_now() < end; epochs++) {
		double left = end - seconds_now();

		good = epoch(left < EPOCH ? left + 1 : EPOCH, 1 + 1000 * epochs);
	}
	ktap_ok(good, "%d s, %d epochs: all of %ld reads and %ld mappings were right; %ld pages were forged ones, of younger mounts; %ld reads failed as they had to; %ld readers were killed; disks hung %ld times; %ld mounts, %ld older ones went; %ld failed allocations",
		seconds, epochs, done->reads, done->faults, done->forged, done->failed, done->killed, done->hung, done->mounts,
		done->gone, done->starved);
	ktap_ok(done->reads > seconds / 4 && done->faults > seconds / 10 && done->mounts > NR_MOUNTS && done->killed > seconds / 4 &&
		done->forged > 0 && done->hung > seconds / 10 && done->starved > 0, "and there were enough of each");
	ktap_ok(!umount("/set") && dm_remove("slow") && dm_remove("flaky") && dm_remove("forged"), "unmount");
	for (int i = 0; i < 25 && shared_inodes(); i++)
		pause_ms(100);
	ktap_ok(!shared_inodes(), "no shared inode is left (%ld)", shared_inodes());
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: what programs do with files works on files that share page cache, and tells the truth
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE OVERLAY_FS BLK_DEV_LOOP
 * image: base share base
 * image: next share next -zlz4hc,9
 * image: tree tree --fingerprint
 * image: ztree tree --fingerprint -zlz4
 * image: box share box --fingerprint
 * device: blk:base
 * device: blk:next
 * device: blk:tree
 * device: blk:ztree
 * device: blk:box
 * device: disk:8M
 * timeout: 90
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cgroup.h"
#include "ktap.h"
#include "loop.h"
#include "pages.h"
#include "share.h"

static void *map(const char *path, size_t size, int flags)
{
	int fd = open(path, O_RDONLY);
	void *address = mmap(NULL, size, PROT_READ, flags, fd, 0);

	close(fd);
	return address;
}

/* who a mapping says it is of, in /proc/self/maps and map_files */
static void maps(void)
{
	char line[256], link[64], target[128] = "", *end;
	unsigned long start, stop, inode = 0, major, minor;
	bool found = false;
	struct stat st;
	void *address = map("/mnt/b/f.65536", 65536, MAP_SHARED);
	FILE *file = fopen("/proc/self/maps", "r");

	stat("/mnt/b/f.65536", &st);
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%lx-%lx %*s %*x %lx:%lx %lu", &start, &stop, &major, &minor, &inode) == 5 &&
			start == (uintptr_t)address;
	fclose(file);
	end = strrchr(line, ' ');
	ktap_ok(found && ktap_is(inode, ==, st.st_ino) &&
		ktap_is(makedev(major, minor), ==, st.st_dev) && !strcmp(end, " /mnt/b/f.65536\n"),
		"/proc/PID/maps has the file's own device, inode and path");
	snprintf(link, sizeof(link), "/proc/self/map_files/%lx-%lx", start, stop);
	if (access("/proc/self/map_files", F_OK))
		ktap_skip("map_files", "the kernel has none");
	else
		ktap_ok(ktap_is(readlink(link, target, sizeof(target) - 1), >, 0) &&
			!strcmp(target, "/mnt/b/f.65536"), "so has map_files");
	munmap(address, 65536);
}

static void residence(void)
{
	int last = pages_of(65536) - 1;
	unsigned char vec[16] = { 0 };
	void *address;

	sums_ok("/mnt/a");
	address = map("/mnt/b/f.65536", 65536, MAP_SHARED);
	mincore(address, 65536, vec);
	ktap_ok((vec[0] & vec[last / 2] & vec[last] & 1), "mincore sees what the other mount has read");
	munmap(address, 65536);
}

static void copies(void)
{
	char a[5000], b[5000];
	int in = open("/mnt/b/f.300001", O_RDONLY), out = memfd_create("out", 0), other = open("/mnt/a/f.300001", O_RDONLY), p[2];
	off_t offset = 290000;

	ktap_ok(ktap_is(sendfile(out, in, &offset, 5000), ==, 5000) &&
		ktap_is(pread(out, a, 5000, 0), ==, 5000) &&
		ktap_is(pread(other, b, 5000, 290000), ==, 5000) && !memcmp(a, b, 5000), "sendfile");
	offset = 1234;
	ktap_ok(!pipe(p) && ktap_is(splice(in, &offset, p[1], NULL, 5000, 0), ==, 5000) &&
		ktap_is(read(p[0], a, 5000), ==, 5000) &&
		ktap_is(pread(other, b, 5000, 1234), ==, 5000) && !memcmp(a, b, 5000), "splice");
	ktap_ok(ktap_is(pread(in, a, 5000, 300000), ==, 1) &&
		ktap_is(pread(in, a, 5000, 300001), ==, 0), "reads end where the file does");
	ktap_ok(!readahead(in, 0, 300001), "readahead");
	close(p[0]);
	close(p[1]);
	close(in);
	close(out);
	close(other);
}

static void events(void)
{
	char buffer[1024];
	int fd = inotify_init1(IN_NONBLOCK), other;
	struct inotify_event *event = (void *)buffer;

	inotify_add_watch(fd, "/mnt/a/f.4096", IN_ACCESS);
	other = open("/mnt/b/f.4096", O_RDONLY);
	read(other, buffer, 1);
	ktap_fails(read(fd, buffer, sizeof(buffer)) < 0, EAGAIN, "a read through another mount is no event");
	close(other);
	other = open("/mnt/a/f.4096", O_RDONLY);
	read(other, buffer, 1);
	ktap_ok(ktap_is(read(fd, buffer, sizeof(buffer)), >, 0) &&
		ktap_is(event->mask, ==, IN_ACCESS), "a read of the file is");
	ktap_ok(!fcntl(other, F_SETLEASE, F_RDLCK) && !fcntl(other, F_SETLEASE, F_UNLCK), "a lease");
	close(other);
	close(fd);
}

/* one read by io_uring; what it says */
static int ring_read(int fd, void *buffer, unsigned int size, uint64_t offset)
{
	struct io_uring_params p = { 0 };
	int ring = syscall(SYS_io_uring_setup, 1, &p), result = -1;
	char *sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	char *cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ, MAP_SHARED, ring,
			IORING_OFF_CQ_RING);
	struct io_uring_sqe *sqe = mmap(NULL, p.sq_entries * sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
					IORING_OFF_SQES);

	if (ring < 0 || sq == MAP_FAILED || cq == MAP_FAILED || sqe == MAP_FAILED)
		return -1;
	*sqe = (struct io_uring_sqe){ .opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)buffer, .len = size, .off = offset };
	*(unsigned int *)(sq + p.sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1)
		result = ((struct io_uring_cqe *)(cq + p.cq_off.cqes))->res;
	close(ring);
	return result;
}

static void rings(void)
{
	static char a[8192] __attribute__((aligned(4096))), b[8192] __attribute__((aligned(4096)));
	int fd = open("/mnt/a/f.300001", O_RDONLY), other = open("/mnt/b/f.300001", O_RDONLY);
	int direct = open("/mnt/a/f.300001", O_RDONLY | O_DIRECT);

	pread(fd, a, 8192, 4096 * 40);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	drop_caches("1");
	ktap_ok(ktap_is(ring_read(other, b, 8192, 4096 * 40), ==, 8192) &&
		!memcmp(a, b, 8192), "io_uring, nothing cached");
	memset(b, 0, sizeof(b));
	ktap_ok(ktap_is(ring_read(fd, b, 8192, 4096 * 40), ==, 8192) &&
		!memcmp(a, b, 8192), "io_uring, cached by another mount");
	memset(b, 0, sizeof(b));
	ktap_ok(ktap_is(ring_read(direct, b, 8192, 4096 * 40), ==, 8192) &&
		!memcmp(a, b, 8192), "io_uring, O_DIRECT");
	close(fd);
	close(other);
	close(direct);
}

static void fanotify(void)
{
	struct fanotify_event_metadata event = { .fd = -1 };
	int group = fanotify_init(FAN_NONBLOCK, O_RDONLY), fd;
	struct stat st, st_of_event = { 0 };
	char byte;

	fanotify_mark(group, FAN_MARK_ADD, FAN_ACCESS, AT_FDCWD, "/mnt/b/f.4097");
	fd = open("/mnt/a/f.4097", O_RDONLY);
	read(fd, &byte, 1);
	close(fd);
	ktap_fails(read(group, &event, sizeof(event)) < 0, EAGAIN, "fanotify: no event for another mount's equal");
	fd = open("/mnt/b/f.4097", O_RDONLY);
	read(fd, &byte, 1);
	fstat(fd, &st);
	close(fd);
	ktap_ok(ktap_is(read(group, &event, sizeof(event)), ==, sizeof(event)) &&
		!fstat(event.fd, &st_of_event) &&
		ktap_is(st.st_ino, ==, st_of_event.st_ino) &&
			ktap_is(st.st_dev, ==, st_of_event.st_dev), "fanotify: an event for the file itself");
	close(event.fd);
	close(group);
}

/* who is charged: the group that reads first, and nobody else */
static void cgroups(void)
{
	char command[160];
	long first, second;

	cgroup_make("x");
	cgroup_make("y");
	drop_caches("3");
	for (int i = 0; i < 2; i++) {
		snprintf(command, sizeof(command), "echo $$ > /sys/fs/cgroup/%c/cgroup.procs && cat /mnt/%c/f.3000000 > /dev/null",
			 "xy"[i], "ab"[i]);
		system(command);
	}
	first = cgroup_charged("x");
	second = cgroup_charged("y");
	ktap_ok(ktap_is(first, >=, 3000000) && ktap_is(first, <, 5000000) && ktap_is(second, >=, 0) &&
		ktap_is(second, <, 500000),
		"memory cgroups: the first reader is charged %ld bytes, the second %ld", first, second);
	rmdir("/sys/fs/cgroup/x");
	rmdir("/sys/fs/cgroup/y");
}

/* private changes of a mapping go to swap and come back; shared pages stay what they are */
static void swap(void)
{
	int fd = open("/mnt/b/f.3000000", O_RDONLY), wrong = 0;
	char *mine = mmap(NULL, 3000000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	const char *shared = map("/mnt/a/f.3000000", 3000000, MAP_SHARED);
	static char copy[3000000];

	memcpy(copy, shared, sizeof(copy));
	if (system("mkswap /dev/harness/disk0 > /dev/null") || swapon("/dev/harness/disk0", 0)) {
		ktap_skip("swap", "there is no swap space");
		return;
	}
	for (int i = 0; i < 3000000; i += 4096)
		mine[i] = ~copy[i];
	madvise(mine, 3000000, MADV_PAGEOUT);
	ktap_ok(!swapoff("/dev/harness/disk0"), "swapoff");
	for (int i = 0; i < 3000000; i++)
		wrong += mine[i] != (i % 4096 ? copy[i] : (char)~copy[i]) || shared[i] != copy[i];
	ktap_ok(!wrong, "private changes survive it and are nobody else's (%d wrong)", wrong);
	munmap(mine, 3000000);
	munmap((void *)shared, 3000000);
	close(fd);
}

static void metadata(void)
{
	struct { struct fiemap map; struct fiemap_extent extent[8]; } request[2] = { 0 };
	struct { struct file_handle handle; char bytes[64]; } handle = { .handle.handle_bytes = 64 };
	char list[256];
	int fd = open("/mnt/b/f.65536", O_RDONLY), id, dir;

	dir = open("/mnt/a/f.65536", O_RDONLY);
	for (int i = 0; i < 2; i++) {
		request[i].map.fm_length = FIEMAP_MAX_OFFSET;
		request[i].map.fm_extent_count = 8;
		if (ioctl(i ? dir : fd, FS_IOC_FIEMAP, &request[i]))
			request[i].map.fm_mapped_extents = 0;
	}
	ktap_ok(request[0].map.fm_mapped_extents && request[1].map.fm_mapped_extents &&
		ktap_is(request[0].extent[0].fe_physical, !=, request[1].extent[0].fe_physical),
			"FIEMAP has the file's own layout");
	close(dir);
	close(fd);
	ktap_eq(listxattr("/mnt/b/f.65536", list, sizeof(list)), 0, "the fingerprint is not listed");
	ktap_fails(getxattr("/mnt/b/f.65536", "erofs.fingerprint.v1", list, sizeof(list)) < 0, EOPNOTSUPP,
		"nor can it be read");
	dir = open("/mnt/b", O_RDONLY);
	fd = name_to_handle_at(AT_FDCWD, "/mnt/b/f.65536", &handle.handle, &id, 0);
	if (!fd)
		fd = open_by_handle_at(dir, &handle.handle, O_RDONLY);
	ktap_ok(ktap_is(fd, >=, 0) && ktap_is(read(fd, list, 1), ==, 1), "open by file handle");
	close(fd);
	close(dir);
}

static void programs(void)
{
	char *x, *y;

	ktap_ok(share_mount("/dev/harness/blk2", "/mnt/t", NULL) &&
		share_mount("/dev/harness/blk3", "/mnt/z", NULL), "mount a tree and a compressed copy");
	ktap_ok(!system("/mnt/t/bin/busybox true && /mnt/z/bin/busybox true && "
			"/mnt/z/bin/script > /dev/null"), "run programs");
	mkdir("/mnt/upper", 0755);
	mount("tmpfs", "/mnt/upper", "tmpfs", 0, NULL);
	for (int i = 0; i < 2; i++) {
		char options[128], dir[32];

		snprintf(dir, sizeof(dir), "/mnt/upper/%d", i);
		mkdir(dir, 0755);
		snprintf(dir, sizeof(dir), "/mnt/upper/w%d", i);
		mkdir(dir, 0755);
		snprintf(dir, sizeof(dir), "/mnt/o%d", i);
		mkdir(dir, 0755);
		snprintf(options, sizeof(options), "lowerdir=/mnt/%c,upperdir=/mnt/upper/%d,workdir=/mnt/upper/w%d",
			 "tz"[i], i, i);
		ktap_ok(!mount("overlay", dir, "overlay", 0, options) &&
			sums_ok(dir), "an overlay of the %s tree",
			i ? "compressed" : "plain");
	}
	x = map("/mnt/o0/bin/busybox", 65536, MAP_PRIVATE);
	y = map("/mnt/o1/bin/busybox", 65536, MAP_PRIVATE);
	ktap_ok(ktap_is(x[8192], ==, y[8192]) && page_frame(x + 8192) &&
		ktap_is(page_frame(x + 8192), ==, page_frame(y + 8192)),
		"programs of both overlays are in the same pages");
	munmap(x, 65536);
	munmap(y, 65536);
	ktap_ok(!system("/mnt/o1/bin/busybox true && echo more >> /mnt/o1/one && "
			"[ \"$(cat /mnt/o1/one)\" = xmore ] && "
			"[ \"$(cat /mnt/o0/one)\" = x ] && [ \"$(cat /mnt/z/one)\" = x ]"),
		"a write to one of them is not seen by the other");
	umount("/mnt/o0");
	umount("/mnt/o1");
	umount("/mnt/upper");
	ktap_ok(!umount("/mnt/t") && !umount("/mnt/z"), "unmount");
}

static void nested(void)
{
	char path[32];
	int loop;

	ktap_ok(share_mount("/dev/harness/blk4", "/mnt/box", NULL) &&
		share_mount("/mnt/box/image", "/mnt/c", NULL) && sums_ok("/mnt/c"),
		"an image in a file that is shared itself");
	umount("/mnt/c");
	loop = loop_attach("/mnt/box/image", path);
	ktap_ok(ktap_is(loop, >=, 0) && share_mount(path, "/mnt/c", NULL) &&
		sums_ok("/mnt/c"), "a loop device on it");
	close(loop);
	ktap_ok(!umount("/mnt/c") && !umount("/mnt/box"), "unmount");
}

/* Let one allocation after the other fail, if the kernel can do that. */
static bool fail_nth(int n)
{
	char text[16];
	int fd = open("/proc/thread-self/fail-nth", O_RDWR);

	if (fd < 0)
		return false;
	if (write(fd, text, snprintf(text, sizeof(text), "%d", n)) < 0)
		perror("fail-nth");
	close(fd);
	return true;
}

static int fail_nth_left(void)
{
	char text[16] = "";
	int fd = open("/proc/thread-self/fail-nth", O_RDWR);

	if (read(fd, text, sizeof(text) - 1) < 0)
		perror("fail-nth");
	if (write(fd, "0", 1) < 0)
		perror("fail-nth");
	close(fd);
	return atoi(text);
}

static void no_memory(void)
{
	int n, err, failed = 0, wrong = 0, bad = 0, left;

	umount("/mnt/a");
	umount("/mnt/b");
	if (!fail_nth(0)) {
		ktap_skip("failing allocations", "the kernel has no fault injection");
		return;
	}
	system("echo 0 > /sys/kernel/debug/failslab/ignore-gfp-wait; echo 0 > /sys/kernel/debug/failslab/verbose");
	for (n = 1; n < 2000; n++) {
		fail_nth(n);
		err = mount("/dev/harness/blk0", "/mnt/a", "erofs", MS_RDONLY, SHARE_OPTIONS) ? errno : 0;
		left = fail_nth_left();
		failed += err == ENOMEM;
		wrong += err && err != ENOMEM;
		if (!err)
			umount("/mnt/a");
		if (left)
			break;
	}
	ktap_ok(ktap_is(failed, >, 5) && !wrong && ktap_is(n, <, 2000), "mount: %d failed allocations", failed);
	share_mount("/dev/harness/blk1", "/mnt/b", NULL);
	for (n = 1, failed = 0; n < 2000; n++) {
		char byte;
		int fd;

		share_mount("/dev/harness/blk0", "/mnt/a", NULL);
		fail_nth(n);
		fd = open("/mnt/a/f.65536", O_RDONLY);
		err = fd < 0 || read(fd, &byte, 1) != 1 ? errno : 0;
		left = fail_nth_left();
		if (fd >= 0)
			close(fd);
		failed += err == ENOMEM;
		wrong += err && err != ENOMEM && err != EIO;
		bad += !sums_ok("/mnt/a");
		umount("/mnt/a");
		if (left)
			break;
	}
	ktap_ok(ktap_is(failed, >, 2) && !wrong && !bad &&
		ktap_is(n, <, 2000), "open and read: %d failed allocations", failed);
	share_mount("/dev/harness/blk0", "/mnt/a", NULL);
}

int main(void)
{
	ktap_begin();
	ktap_ok(share_mount("/dev/harness/blk0", "/mnt/a", NULL) &&
		share_mount("/dev/harness/blk1", "/mnt/b", NULL), "mount");
	residence();
	maps();
	copies();
	rings();
	events();
	fanotify();
	cgroups();
	swap();
	metadata();
	programs();
	nested();
	no_memory();
	umount("/mnt/a");
	umount("/mnt/b");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

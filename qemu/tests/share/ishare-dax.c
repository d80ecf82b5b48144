// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: files on DAX share memory between images of a domain, for as long as the image it is in is there
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE PAGE_SIZE_4KB
 * config: TRANSPARENT_HUGEPAGE MEMORY_FAILURE HWPOISON_INJECT DM_DELAY
 * image: base share base --dax
 * image: next share next --dax
 * image: forged share forged --dax
 * device: ramdax:base
 * device: pmem:next
 * device: pmem:forged
 * device: blk:next
 * timeout: 120
 *
 * The frame of a page tells which image it is part of.  Where each file of each image
 * is in memory is learned from mounts that do not share.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "carveout.h"
#include "dm.h"
#include "ktap.h"
#include "pages.h"
#include "share.h"
#include "sigbus.h"

#define PAGE	4096UL
#define HUGE	(2UL << 20)
/* of so many pages the frame of one is looked at: no divisor of what one fault maps */
#define FRAME_STEP	7

enum image { BASE, NEXT, FORGED, NR_IMAGES };

static const char *const device[NR_IMAGES] = { "/dev/harness/ramdax0", "/dev/harness/pmem0", "/dev/harness/pmem1" };
static const char *const dir[NR_IMAGES] = { "/base", "/next", "/forged" };

static struct file {
	const char *name;
	size_t size;
	char *content[NR_IMAGES];
	uint64_t frame[NR_IMAGES];	/* of the first page */
} files[] = {
	{ .name = "f.4097", .size = 4097 },
	{ .name = "f.300001", .size = 300001 },
	{ .name = "f.3000000", .size = 3000000 },
};
#define NR_FILES	(int)(sizeof(files) / sizeof(*files))
#define SMALL		(&files[0])
#define MEDIUM		(&files[1])
#define LARGE		(&files[2])

static bool attach(enum image image, const char *domain)
{
	char options[64] = "dax=always";

	if (domain)
		snprintf(options, sizeof(options), "dax=always,inode_share,domain_id=%s", domain);
	if (!mount(device[image], dir[image], "erofs", MS_RDONLY, options))
		return true;
	ktap_note("mount %s: %s", device[image], strerror(errno));
	return false;
}

static bool detach(enum image image)
{
	if (!umount(dir[image]))
		return true;
	ktap_note("unmount %s: %s", device[image], strerror(errno));
	return false;
}

static int open_in(enum image image, const struct file *file)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir[image], file->name);
	return open(path, O_RDONLY);
}

static volatile char *map_in(enum image image, const struct file *file, int flags)
{
	int fd = open_in(image, file);
	void *p = mmap(NULL, file->size, PROT_READ | (flags & MAP_PRIVATE ? PROT_WRITE : 0), flags, fd, 0);

	close(fd);
	return p;
}

/* is the mapping @p right, and in the memory of @owner? */
static bool is_from(volatile char *p, const struct file *file, enum image owner, enum image content)
{
	uint64_t first = file->frame[owner];

	for (size_t at = 0; at < file->size; at += PAGE) {
		size_t size = file->size - at < PAGE ? file->size - at : PAGE;

		if (memcmp((char *)p + at, file->content[content] + at, size)) {
			ktap_note("%s: wrong content at %zu", file->name, at);
			return false;
		}
		if (at / PAGE % FRAME_STEP == 0 && page_frame(p + at) != first + at / PAGE) {
			ktap_note("%s: page %zu is frame %#llx, not %#llx", file->name, at / PAGE,
				  (unsigned long long)page_frame(p + at), (unsigned long long)first + at / PAGE);
			return false;
		}
	}
	return true;
}

static bool maps_from(enum image image, const struct file *file, enum image owner, enum image content)
{
	volatile char *p = map_in(image, file, MAP_SHARED);
	bool ok = p != MAP_FAILED && is_from(p, file, owner, content);

	munmap((void *)p, file->size);
	return ok;
}

static bool all_map_from(enum image image, enum image owner)
{
	bool ok = true;

	for (int i = 0; i < NR_FILES; i++)
		ok &= maps_from(image, &files[i], owner, owner);
	return ok;
}

static bool reads(enum image image, const struct file *file, enum image content)
{
	static char buffer[3000001];
	int fd = open_in(image, file);
	ssize_t n = read(fd, buffer, sizeof(buffer));

	close(fd);
	return n == (ssize_t)file->size && !memcmp(buffer, file->content[content], n);
}

/* Learn what each image has and where. */
static bool learn(enum image image)
{
	bool ok = attach(image, NULL);

	for (int i = 0; i < NR_FILES && ok; i++) {
		struct file *file = &files[i];
		volatile char *p = map_in(image, file, MAP_SHARED);

		ok = p != MAP_FAILED;
		if (!ok)
			break;
		file->content[image] = malloc(file->size);
		memcpy(file->content[image], (char *)p, file->size);
		file->frame[image] = page_frame(p);
		ok = file->frame[image];
		munmap((void *)p, file->size);
	}
	return ok && detach(image);
}

/* faults of 2 MiB that went through the mount of NEXT */
static long huge_faults(void)
{
	return number_in("/sys/fs/erofs/pmem0/dax/faults_pmd");
}

/* A uprobe is refused, as on any file on DAX, also where nobody has opened the file yet. */
static void uprobe(void)
{
	const char *enable = "/sys/kernel/tracing/events/uprobes/t/enable";

	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	if (access("/sys/kernel/tracing/uprobe_events", F_OK)) {
		ktap_skip("a uprobe is refused", "this kernel has none");
		return;
	}
	ktap_ok(write_to("/sys/kernel/tracing/uprobe_events", "p:t /next/f.4097:0x10"), "ask for a uprobe");
	ktap_fails(!write_to(enable, "1"), EIO, "it is refused (%s)", strerror(errno));
	ktap_ok(maps_from(NEXT, SMALL, BASE, BASE), "the file can be mapped");
	ktap_fails(!write_to(enable, "1"), EIO, "it is refused again (%s)", strerror(errno));
	write_to("/sys/kernel/tracing/uprobe_events", "-:t");
}

static void basics(void)
{
	volatile char *p, *q;
	pid_t pid;
	int fd, status;

	ktap_ok(attach(BASE, "d") && attach(NEXT, "d"), "mount two images in one domain");
	close(open_in(BASE, SMALL));
	uprobe();
	ktap_ok(all_map_from(BASE, BASE), "the older one maps its own memory");
	ktap_ok(all_map_from(NEXT, BASE), "the younger one maps the same memory");
	p = map_in(NEXT, LARGE, MAP_SHARED);
	ktap_ok(is_from(p, LARGE, BASE, BASE), "a large file is mapped");
	ktap_ok(ktap_is(share_counter(NULL, "dax_bytes"), >=, 3300000), "bytes are counted as shared on DAX");
	ktap_ok(ktap_is(share_counter(NULL, "dax_saved_bytes"), >=, 3300000), "and as saved");
	ktap_ok(ktap_is(share_counter(NULL, "cached_bytes"), ==, 0) &&
		ktap_is(share_counter(NULL, "saved_bytes"), ==, 0),
		"and none of page cache");
	munmap((void *)p, LARGE->size);
	ktap_ok(sums_ok(dir[BASE]) && sums_ok(dir[NEXT]), "reads give the content");

	p = map_in(NEXT, MEDIUM, MAP_PRIVATE);
	q = map_in(BASE, MEDIUM, MAP_SHARED);
	p[PAGE] = p[PAGE] + 1;
	ktap_ok(is_from(q, MEDIUM, BASE, BASE) && ktap_is(p[PAGE], !=, q[PAGE]) &&
		ktap_is(page_frame(p + PAGE), !=, page_frame(q + PAGE)) &&
		ktap_is(p[0], ==, q[0]) &&
			ktap_is(page_frame(p), ==, page_frame(q)), "who writes to a private mapping has a page of his own");
	munmap((void *)p, MEDIUM->size);
	munmap((void *)q, MEDIUM->size);
	fd = open_in(NEXT, MEDIUM);
	p = mmap(NULL, MEDIUM->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ktap_fails(p == MAP_FAILED, EACCES, "nobody maps them to write to all");
	close(fd);
	fd = open("/next/f.300001", O_RDONLY | O_DIRECT);
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap((char *)p + 3 * PAGE, PAGE);
	ktap_ok(ktap_is(fd, >=, 0) && ktap_is(pread(fd, (char *)p, 2 * PAGE, PAGE), ==, 2 * PAGE) &&
		!memcmp((char *)p, MEDIUM->content[BASE] + PAGE, 2 * PAGE), "O_DIRECT reads");
	ktap_fails(pread(fd, (char *)p + 3 * PAGE, PAGE, 0) < 0, EFAULT, "a read into nowhere is refused");
	munmap((char *)p + PAGE, 2 * PAGE);
	ktap_eq(pread(fd, (char *)p, 2 * PAGE, 0), PAGE, "a read whose second page is nowhere gives the first");
	munmap((void *)p, PAGE);
	close(fd);

	/* mapped by somebody who dies with it */
	pid = fork();
	if (!pid) {
		p = map_in(NEXT, LARGE, MAP_SHARED);
		_exit(!is_from(p, LARGE, BASE, BASE));
	}
	ktap_ok(ktap_is(waitpid(pid, &status, 0), ==, pid) && !status, "in another process, too");
	ktap_ok(kernel_is_content(), "no complaint so far");
}

static void huge(void)
{
	int fd = open_in(NEXT, LARGE);
	char *room = mmap(NULL, 3 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *place = (char *)(((uintptr_t)room + HUGE - 1) & -HUGE);
	volatile char *p = mmap(place, LARGE->size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);

	close(fd);
	/* what was mapped by small pages stays so while it is kept track of */
	ktap_ok(is_from(p, LARGE, BASE, BASE), "a mapping that is aligned");
	munmap((void *)p, LARGE->size);
	ktap_ok(detach(NEXT) && detach(BASE) && attach(BASE, "d") && attach(NEXT, "d"), "mount both again");
	fd = open_in(NEXT, LARGE);
	p = mmap(place, LARGE->size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	ktap_ok(is_from(p, LARGE, NEXT, NEXT), "alone, the younger one maps its own memory");
	ktap_eq(huge_faults(), 1, "by a page of 2 MiB");
	ktap_ok(maps_from(BASE, LARGE, BASE, BASE), "the older one opens the file, and maps its own");
	ktap_ok(is_from(p, LARGE, NEXT, NEXT) && ktap_is(huge_faults(), ==, 1),
		"that changes nothing of what the younger one has mapped");
	munmap((void *)p, LARGE->size);
	close(fd);
	fd = open_in(NEXT, LARGE);
	p = mmap(place, LARGE->size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	ktap_ok(is_from(p, LARGE, BASE, BASE), "opened anew, the older one's memory is mapped");
	ktap_ok(detach(BASE), "unmount the older one under it");
	ktap_ok(is_from(p, LARGE, NEXT, NEXT), "the younger one's own memory is mapped");
	close(fd);
	munmap(room, 3 * HUGE);
	detach(NEXT);
}

static void lifetime(void)
{
	volatile char *p, *q;
	int fd;

	ktap_ok(attach(BASE, "d") && attach(NEXT, "e") && all_map_from(BASE, BASE) && all_map_from(NEXT, NEXT),
		"images of two domains share nothing");
	ktap_ok(detach(NEXT) && attach(NEXT, "d"), "mount the second one in the domain of the first");

	close(open_in(BASE, MEDIUM));
	close(open_in(BASE, LARGE));
	p = map_in(NEXT, MEDIUM, MAP_SHARED);
	fd = open_in(NEXT, LARGE);
	ktap_ok(is_from(p, MEDIUM, BASE, BASE), "map a file of the younger one");
	ktap_ok(detach(BASE), "unmount the older one, whose memory that is");
	ktap_ok(is_from(p, MEDIUM, NEXT, NEXT), "the content stays, from the younger one's memory");
	ktap_ok(reads(NEXT, LARGE, NEXT), "an open file goes on, too");
	ktap_ok(attach(BASE, "d") && maps_from(BASE, MEDIUM, NEXT, NEXT) &&
		maps_from(BASE, LARGE, NEXT, NEXT), "mounted again it is the younger one, and is fed by the other");
	q = map_in(BASE, MEDIUM, MAP_SHARED);
	ktap_ok(is_from(q, MEDIUM, NEXT, NEXT), "map a file of it");
	munmap((void *)p, MEDIUM->size);
	close(fd);
	ktap_ok(detach(NEXT), "unmount that one");
	ktap_ok(is_from(q, MEDIUM, BASE, BASE), "the content stays");
	munmap((void *)q, MEDIUM->size);
	ktap_ok(detach(BASE), "unmount the last");

	/* the inode of the provider stays while others need it */
	ktap_ok(attach(BASE, "d") && attach(NEXT, "d"), "mount both again");
	close(open_in(BASE, MEDIUM));
	p = map_in(NEXT, MEDIUM, MAP_SHARED);
	ktap_ok(ktap_is(p[0], ==, MEDIUM->content[BASE][0]) &&
		ktap_is(page_frame(p), ==, MEDIUM->frame[BASE]), "map one page of the older one's memory");
	for (int i = 0; i < 5; i++)
		drop_caches("2");
	ktap_ok(is_from(p, MEDIUM, BASE, BASE), "reclaim of inodes changes nothing");
	ktap_ok(detach(BASE), "it can be unmounted");
	ktap_ok(is_from(p, MEDIUM, NEXT, NEXT), "the content stays, from the younger one's memory");
	munmap((void *)p, MEDIUM->size);
	detach(NEXT);
}

static void forgery(void)
{
	volatile char *p;

	ktap_ok(attach(BASE, "d") && attach(FORGED, "d"), "mount an image, then one with forged fingerprints");
	ktap_ok(all_map_from(BASE, BASE), "the older one has its own memory");
	ktap_ok(maps_from(FORGED, MEDIUM, BASE, BASE) &&
		reads(FORGED, MEDIUM, BASE), "and the forged one that, too");
	ktap_ok(detach(FORGED) && detach(BASE) && attach(BASE, "d") && attach(FORGED, "d"), "mount them again");
	p = map_in(FORGED, MEDIUM, MAP_SHARED);
	ktap_ok(is_from(p, MEDIUM, FORGED, FORGED) && reads(FORGED, MEDIUM, FORGED),
		"a file that the older one has not opened is the forged one's");
	ktap_ok(maps_from(BASE, MEDIUM, BASE, BASE) &&
		reads(BASE, MEDIUM, BASE), "the older one does not get that");
	ktap_ok(is_from(p, MEDIUM, FORGED, FORGED), "the forged one keeps what it has mapped");
	munmap((void *)p, MEDIUM->size);
	ktap_ok(maps_from(FORGED, MEDIUM, BASE, BASE), "opened anew, it has the older one's");
	ktap_ok(detach(FORGED) && detach(BASE), "unmount both");
}

/* A provider whose own mount has something better by now goes on providing: its entries stay. */
static void same_provider(void)
{
	volatile char *p;
	int fd;

	ktap_ok(attach(BASE, "d") && attach(NEXT, "d") && attach(FORGED, "d"), "mount three");
	fd = open_in(NEXT, MEDIUM);
	p = map_in(FORGED, MEDIUM, MAP_SHARED);
	ktap_ok(is_from(p, MEDIUM, NEXT, NEXT), "the youngest maps the memory of the second one");
	close(open_in(BASE, MEDIUM));
	close(fd);
	fd = open_in(NEXT, MEDIUM);
	ktap_ok(is_from(p, MEDIUM, NEXT, NEXT), "when that is opened anew, the youngest has the same mapped");
	ktap_ok(maps_from(NEXT, MEDIUM, NEXT, NEXT), "and so has the second one, since others use its memory");
	munmap((void *)p, MEDIUM->size);
	close(fd);
	ktap_ok(detach(FORGED) && detach(NEXT) && detach(BASE), "unmount all");
}

/* set before a page leaves its pipe, in all processes */
static volatile bool *leaves;

/* Put a page into a pipe by reference, and take it out again after @after ms, or not (-1). */
static pid_t pin(volatile char *p, int after, int *in)
{
	struct iovec iov = { .iov_base = (void *)p, .iov_len = PAGE };
	int ends[2];
	char buffer[PAGE];
	pid_t pid;

	if (pipe(ends) || vmsplice(ends[1], &iov, 1, 0) != PAGE)
		return -1;
	*in = ends[0];
	close(ends[1]);
	if (after < 0)
		return 0;
	*leaves = false;
	pid = fork();
	if (!pid) {
		usleep(after * 1000);
		*leaves = true;
		_exit(read(ends[0], buffer, PAGE) != PAGE);
	}
	close(ends[0]);
	return pid;
}

static void pinned(void)
{
	volatile char *p;
	char buffer[PAGE];
	double start, took;
	int in = -1, status;
	pid_t pid;

	ktap_ok(attach(BASE, "d") && attach(NEXT, "d") && maps_from(BASE, MEDIUM, BASE, BASE), "mount both");
	p = map_in(NEXT, MEDIUM, MAP_SHARED);
	ktap_ok(is_from(p, MEDIUM, BASE, BASE), "map a file");
	pid = pin(p, 1000, &in);
	start = seconds_now();
	ktap_ok(ktap_is(pid, >, 0) && detach(BASE), "unmount its provider while a page of it is in a pipe");
	took = seconds_now() - start;
	ktap_ok(!*leaves && ktap_is(took, <, 1), "that does not wait for it (%.1f s)", took);
	ktap_ok(ktap_is(waitpid(pid, &status, 0), ==, pid) && !status, "the page leaves the pipe");
	ktap_ok(is_from(p, MEDIUM, NEXT, NEXT), "the file is right");
	munmap((void *)p, MEDIUM->size);
	ktap_ok(detach(NEXT) && attach(BASE, "d") && attach(NEXT, "d") &&
		maps_from(BASE, MEDIUM, BASE, BASE), "mount both again");
	p = map_in(NEXT, MEDIUM, MAP_SHARED);
	ktap_ok(is_from(p, MEDIUM, BASE, BASE) && !pin(p + PAGE, -1, &in), "a page stays in a pipe");
	start = seconds_now();
	ktap_ok(detach(BASE), "unmount its provider");
	took = seconds_now() - start;
	ktap_ok(ktap_is(took, <, 1), "that does not wait, either (%.1f s)", took);
	ktap_ok(is_from(p, MEDIUM, NEXT, NEXT), "the file is right");
	ktap_ok(ktap_is(read(in, buffer, PAGE), ==, PAGE) &&
		!memcmp(buffer, MEDIUM->content[BASE] + PAGE, PAGE), "and so is what was in the pipe");
	close(in);
	munmap((void *)p, MEDIUM->size);
	detach(NEXT);
}

/* A read whose buffer is on a slow disk does not hold up the unmount of the provider. */
static void slow_reader(void)
{
	char slow[32];
	double start, took;
	volatile char *p;
	int fd, status;
	pid_t pid;

	mkdir("/slow", 0755);
	ktap_ok(dm_create("slow", "/dev/harness/blk0", "delay", "0", slow) &&
		!mount(slow, "/slow", "erofs", MS_RDONLY, NULL), "mount a disk");
	fd = open("/slow/f.3000000", O_RDONLY);
	ktap_ok(attach(BASE, "d") && attach(NEXT, "d") && maps_from(BASE, MEDIUM, BASE, BASE) &&
		maps_from(NEXT, MEDIUM, BASE, BASE),
		"mount both");
	ktap_ok(dm_reload("slow", "/dev/harness/blk0", "delay", "20000"), "the disk becomes slow");
	pid = fork();
	if (!pid) {
		p = mmap(NULL, LARGE->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		fd = open_in(NEXT, MEDIUM);
		_exit(read(fd, (char *)p + HUGE, MEDIUM->size) != (ssize_t)MEDIUM->size ||
		      memcmp((char *)p + HUGE, MEDIUM->content[BASE], MEDIUM->size));
	}
	close(fd);
	for (int i = 0; i < 5000 && !dm_waits(pid); i++)
		usleep(1000);
	ktap_ok(dm_waits(pid), "a read waits for a page of its buffer from there");
	start = seconds_now();
	ktap_ok(detach(BASE), "unmount its provider");
	took = seconds_now() - start;
	ktap_ok(!waitpid(pid, &status, WNOHANG) &&
		dm_waits(pid), "that does not wait for the read (%.1f s)", took);
	dm_reload("slow", "/dev/harness/blk0", "delay", "0");
	ktap_ok(ktap_is(waitpid(pid, &status, 0), ==, pid) && !status, "the read gives the content");
	ktap_ok(detach(NEXT) && !umount("/slow") && dm_remove("slow"), "unmount all");
}

static void memory_error(void)
{
	volatile char *p, *q;

	sigbus_catch();
	ktap_ok(attach(BASE, "d") && attach(NEXT, "d"), "mount both");
	p = map_in(BASE, MEDIUM, MAP_SHARED);
	q = map_in(NEXT, MEDIUM, MAP_SHARED);
	close(open_in(BASE, LARGE));
	close(open_in(BASE, SMALL));
	if (!ktap_ok(is_from(p, MEDIUM, BASE, BASE) && is_from(q, MEDIUM, BASE, BASE), "map a file of each"))
		return;
	ktap_ok(page_poison(LARGE->frame[NEXT] + 1), "lose a page of the copy that nobody uses");
	ktap_ok(maps_from(NEXT, LARGE, BASE, BASE) && reads(NEXT, LARGE, BASE), "nobody notices");
	/* which is mapped here, so that SIGBUS comes at once */
	ktap_ok(sigbus_came() || page_poison(MEDIUM->frame[BASE] + 3), "lose a page of the provider");
	ktap_ok(gives_sigbus(p + 3 * PAGE) && gives_sigbus(q + 3 * PAGE), "both get SIGBUS for it");
	ktap_ok(!memcmp((char *)q, MEDIUM->content[BASE], 3 * PAGE) &&
		ktap_is(page_frame(q), ==, MEDIUM->frame[BASE]) && !gives_sigbus(p + 4 * PAGE), "and for nothing else");
	ktap_ok(!reads(BASE, MEDIUM, BASE), "a read of it fails");
	munmap((void *)q, MEDIUM->size);
	ktap_ok(maps_from(NEXT, MEDIUM, NEXT, NEXT) && reads(NEXT, MEDIUM, NEXT),
		"opened anew, the younger one has its own copy");
	ktap_ok(gives_sigbus(p + 3 * PAGE) && !reads(BASE, MEDIUM, NEXT), "which does not stand in for the older one's");
	ktap_ok(maps_from(NEXT, SMALL, BASE, BASE), "other files are not concerned");
	ktap_ok(detach(NEXT), "unmount the younger one");
	ktap_ok(!memcmp((char *)p, MEDIUM->content[BASE], 3 * PAGE) &&
		ktap_is(page_frame(p), ==, MEDIUM->frame[BASE]), "what was not lost can be mapped");
	ktap_ok(gives_sigbus(p + 3 * PAGE), "what was lost gives SIGBUS");
	munmap((void *)p, MEDIUM->size);
	detach(BASE);
	signal(SIGBUS, SIG_DFL);
}

static void removal(void)
{
	volatile char *p, *q;
	int fd;

	ktap_ok(attach(BASE, "d") && attach(NEXT, "d"), "mount both");
	close(open_in(BASE, SMALL));
	close(open_in(BASE, LARGE));
	p = map_in(NEXT, SMALL, MAP_SHARED);
	q = map_in(NEXT, LARGE, MAP_SHARED);
	fd = open_in(NEXT, LARGE);
	ktap_ok(is_from(p, SMALL, BASE, BASE) && is_from(q, LARGE, BASE, BASE), "map files of the younger one");
	ktap_ok(carveout_driver("unbind", 0), "remove the device of the older one");
	ktap_ok(!reads(BASE, SMALL, BASE) && !reads(BASE, SMALL, NEXT), "nothing can be read through it any more");
	ktap_ok(is_from(p, SMALL, NEXT, NEXT), "the younger one's mapping stays");
	ktap_ok(reads(NEXT, MEDIUM, NEXT), "it reads");
	ktap_eq(pread(fd, (char[1]){ 0 }, 1, 0), 1, "open files, too");
	ktap_ok(is_from(q, LARGE, NEXT, NEXT), "and the large file");
	close(fd);
	munmap((void *)p, SMALL->size);
	munmap((void *)q, LARGE->size);
	ktap_ok(detach(BASE), "unmount what is left of the older one");
	ktap_ok(reads(NEXT, MEDIUM, NEXT) && detach(NEXT), "and the younger one");
	ktap_ok(carveout_driver("bind", 0) && attach(BASE, "d") && sums_ok(dir[BASE]) &&
		detach(BASE), "the device comes back");
}

int main(void)
{
	ktap_begin();
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	leaves = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < NR_IMAGES; i++)
		mkdir(dir[i], 0755);
	if (!ktap_ok(learn(BASE) && learn(NEXT) && learn(FORGED), "learn where files are"))
		return ktap_end();
	basics();
	huge();
	lifetime();
	forgery();
	same_provider();
	pinned();
	slow_reader();
	removal();
	memory_error();	/* which is not forgotten */
	ktap_ok(ktap_is(share_counter(NULL, "attached"), <=, 0) &&
		ktap_is(share_counter(NULL, "dax_bytes"), <=, 0), "nothing of the domain is left");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}

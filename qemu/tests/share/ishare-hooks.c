// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: uprobes, Landlock and tracepoints tell files apart that share page cache
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE UPROBE_EVENTS SECURITY_LANDLOCK
 * image: tree tree --fingerprint
 * image: ztree tree --fingerprint -zlz4
 * device: blk:tree
 * device: blk:ztree
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "pages.h"
#include "share.h"

#define TRACING	"/sys/kernel/tracing/"

/* the two mounts: of a plain and of a compressed image of one tree */
static const char *const dirs[] = { "/mnt/a", "/mnt/b" };

static bool share(int n)
{
	const char *const devices[] = { "/dev/harness/blk0", "/dev/harness/blk1" };

	return share_mount(devices[n], dirs[n], NULL);
}

static bool put(const char *file, const char *text)
{
	if (write_to(file, text))
		return true;
	ktap_note("%s: '%s': %s", file, text, strerror(errno));
	return false;
}

static int status_of(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* -- uprobes -- */

/*
 * Places in busybox, as offsets into the file: where it starts, and a "ret" (the byte
 * 0xc3) in another page, which can be called as a function.  They are looked up in the
 * guest's own copy, to leave those of the images unopened.
 */
static off_t entry, ret;

static bool find_places(void)
{
	struct stat st;
	int fd = open("/bin/busybox", O_RDONLY);
	const unsigned char *file;
	const Elf64_Ehdr *head;
	const Elf64_Phdr *part;

	fstat(fd, &st);
	file = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (file == MAP_FAILED)
		return false;
	head = (const void *)file;
	part = (const void *)(file + head->e_phoff);
	for (int i = 0; i < head->e_phnum; i++, part++) {
		if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) || head->e_entry < part->p_vaddr ||
		    head->e_entry - part->p_vaddr >= part->p_filesz)
			continue;
		entry = head->e_entry - part->p_vaddr + part->p_offset;
		for (ret = (entry & -4096) + 4096; ret < (off_t)(part->p_offset + part->p_filesz); ret++)
			if (file[ret] == 0xc3)
				break;
	}
	munmap((void *)file, st.st_size);
	return entry && ret;
}

/* Set a probe on busybox of mount @n, or remove it. */
static bool probe(const char *name, int n, off_t offset, bool on)
{
	char text[128], enable[128];

	snprintf(enable, sizeof(enable), TRACING "events/uprobes/%s/enable", name);
	snprintf(text, sizeof(text), "p:%s %s/bin/busybox:%#lx", name, dirs[n], (long)offset);
	if (on)
		return put(TRACING "uprobe_events", text) && put(enable, "1");
	snprintf(text, sizeof(text), "-:%s", name);
	return put(enable, "0") && put(TRACING "uprobe_events", text);
}

/* How often has it fired? */
static long hits(const char *name)
{
	char event[64];
	long n, found = -1;
	FILE *file = fopen(TRACING "uprobe_profile", "r");

	while (file && fscanf(file, "%*s %63s %ld %*d", event, &n) == 2)
		if (!strcmp(event, name))
			found = n;
	if (file)
		fclose(file);
	return found;
}

static int run(int n)
{
	char path[32];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/bin/busybox", dirs[n]);
	pid = fork();
	if (!pid) {
		execl(path, "true", NULL);
		_exit(127);
	}
	return status_of(pid);
}

/* A process that has busybox of a mount mapped, and takes commands. */
struct user {
	pid_t pid;
	int in, out;
};

struct answer {
	uint64_t frame;		/* page with the "ret" */
	unsigned char byte;	/* what stands there */
};

static void user_start(struct user *user, int n)
{
	const pid_t parent = getpid();
	int in[2], out[2], fd;
	char path[32], what;
	unsigned char *code;

	if (pipe(in) || pipe(out))
		exit(1);
	user->pid = fork();
	if (user->pid) {
		close(in[0]);
		close(out[1]);
		user->in = in[1];
		user->out = out[0];
		return;
	}
	die_with(parent);
	close(in[1]);
	snprintf(path, sizeof(path), "%s/bin/busybox", dirs[n]);
	fd = open(path, O_RDONLY);
	code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, ret & -4096);
	close(fd);
	if (code == MAP_FAILED)
		_exit(1);
	while (read(in[0], &what, 1) == 1) {
		unsigned char *at = code + ret % 4096;
		struct answer answer = { .byte = *(volatile unsigned char *)at };

		answer.frame = page_frame(at);
		if (what == 'c')
			((void (*)(void))at)();
		if (write(out[1], &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

/* 'c': call the code, 'l': only look at it */
static struct answer user_do(struct user *user, char what)
{
	struct answer answer = { 0 };

	if (write(user->in, &what, 1) != 1 || read(user->out, &answer, sizeof(answer)) != sizeof(answer))
		ktap_note("a process with busybox mapped has ended");
	return answer;
}

static void user_end(struct user *user)
{
	kill(user->pid, SIGKILL);
	close(user->in);
	close(user->out);
	status_of(user->pid);
}

static unsigned char byte_of_file(int n, off_t offset)
{
	unsigned char byte = 0;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "%s/bin/busybox", dirs[n]);
	fd = open(path, O_RDONLY);
	if (pread(fd, &byte, 1, offset) != 1)
		byte = 0;
	close(fd);
	return byte;
}

/*
 * @probed has the probes, the other mount does not; @first is mounted first, and its
 * image serves the reads.  The shared inodes are new each time.
 */
static void uprobes(int probed, int first)
{
	const int other = !probed;
	const char *how = first == probed ? "mounted first" : "mounted second";
	struct answer mine, theirs;
	struct user users[2];
	struct utsname uts;

	uname(&uts);
	ktap_ok(share(first) && share(!first), "mount both");
	ktap_ok(probe("start", probed, entry, true) && ktap_is(hits("start"), ==, 0),
		"probe a file that nobody has opened, of the image %s", how);
	ktap_ok(!run(other) && ktap_is(hits("start"), ==, 0), "a program of the other image does not hit it");
	ktap_ok(!run(probed) && ktap_is(hits("start"), ==, 1), "the program itself does");
	put("/proc/sys/vm/drop_caches", "3");
	ktap_ok(!run(probed) && !run(other) &&
		ktap_is(hits("start"), ==, 2), "also when it had to be read again");
	ktap_ok(probe("start2", other, entry, true) && !run(other) && ktap_is(hits("start2"), ==, 1) &&
		ktap_is(hits("start"), ==, 2) &&
		!run(probed) && ktap_is(hits("start2"), ==, 1) &&
		ktap_is(hits("start"), ==, 3), "probes in both: each has its own hits");
	ktap_fails(umount(dirs[probed]), EBUSY, "a mount with a probe is busy");
	ktap_ok(probe("start", probed, entry, false) &&
		probe("start2", other, entry, false), "remove the probes");

	for (int i = 0; i < 2; i++)
		user_start(&users[i], i);
	mine = user_do(&users[probed], 'c');
	theirs = user_do(&users[other], 'c');
	ktap_ok(mine.frame && ktap_is(mine.frame, ==, theirs.frame) &&
		ktap_is(mine.byte, ==, 0xc3), "programs that run have the same pages");
	ktap_ok(probe("late", probed, ret, true) && ktap_is(user_do(&users[probed], 'l').byte, ==, 0xcc),
		"a probe reaches a mapping that is there");
	ktap_ok(ktap_is(user_do(&users[other], 'l').byte, ==, 0xc3) &&
		ktap_is(byte_of_file(probed, ret), ==, 0xc3) &&
		ktap_is(byte_of_file(other, ret), ==, 0xc3), "and nobody else sees it");
	user_do(&users[other], 'c');
	ktap_eq(hits("late"), 0, "a call in the other one does not hit it");
	user_do(&users[probed], 'c');
	ktap_eq(hits("late"), 1, "a call in its own does");
	ktap_ok(probe("late", probed, ret, false), "remove it");
	mine = user_do(&users[probed], 'c');
	/* Linux 7.x keeps the copy if anybody has a reference, a list of a CPU for example */
	ktap_ok(ktap_is(mine.byte, ==, 0xc3) &&
		(strncmp(uts.release, "6.", 2) || ktap_is(mine.frame, ==, theirs.frame)), "its own copy of the page goes with it");
	for (int i = 0; i < 2; i++)
		user_end(&users[i]);
	ktap_ok(!umount(dirs[0]) && !umount(dirs[1]), "unmount both");
}

/* -- Landlock -- */

/* May a process that has @access to what is below @path alone read or run @target? */
static int with_landlock(uint64_t access, const char *path, const char *target)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = access };
	struct landlock_path_beneath_attr rule = { .allowed_access = access };
	int rules;
	pid_t pid = fork();

	if (pid)
		return status_of(pid);
	rules = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	rule.parent_fd = open(path, O_PATH);
	if (rules < 0 || syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, rules, 0))
		_exit(255);
	if (access == LANDLOCK_ACCESS_FS_EXECUTE) {
		execl(target, "true", NULL);
		_exit(errno);
	}
	_exit(open(target, O_RDONLY) < 0 ? errno : 0);
}

static void landlock(void)
{
	const uint64_t reads = LANDLOCK_ACCESS_FS_READ_FILE, runs = LANDLOCK_ACCESS_FS_EXECUTE;
	char *x, *y;
	int a, b;

	ktap_ok(share(0) && share(1), "mount both");
	a = open("/mnt/a/data.65536", O_RDONLY);
	b = open("/mnt/b/data.65536", O_RDONLY);
	x = mmap(NULL, 4096, PROT_READ, MAP_SHARED, a, 8192);
	y = mmap(NULL, 4096, PROT_READ, MAP_SHARED, b, 8192);
	ktap_ok(ktap_is(*x, ==, *y) && page_frame(x) &&
		ktap_is(page_frame(x), ==, page_frame(y)), "two files are in the same pages");
	munmap(x, 4096);
	munmap(y, 4096);
	close(a);
	close(b);
	for (int i = 0; i < 2; i++) {
		const char *own = i ? "/mnt/b/data.65536" : "/mnt/a/data.65536";
		const char *equal = i ? "/mnt/a/data.65536" : "/mnt/b/data.65536";

		ktap_ok(ktap_is(with_landlock(reads, dirs[i], own), ==, 0) &&
			ktap_is(with_landlock(reads, dirs[i], equal), ==, EACCES),
			"a rule for the %s mount covers its file, not the equal one", i ? "second" : "first");
		ktap_ok(ktap_is(with_landlock(reads, own, own), ==, 0) &&
			ktap_is(with_landlock(reads, own, equal), ==, EACCES),
			"so does a rule for the file itself");
	}
	ktap_ok(ktap_is(with_landlock(runs, "/mnt/b", "/mnt/b/bin/busybox"), ==, 0) &&
		ktap_is(with_landlock(runs, "/mnt/b", "/mnt/a/bin/busybox"), ==, EACCES),
			"and one for running programs");
	ktap_ok(!umount("/mnt/a") && !umount("/mnt/b"), "unmount both");
}

/* -- tracepoints -- */

struct event {
	char what[16];
	unsigned int major, minor;
	unsigned long long nid;
	unsigned long shared, pages;
	long long size;
};

/* Take the next event out of the trace. Return: false if there is none. */
static bool next_event(int pipe, struct event *event)
{
	static char text[8192];
	static size_t filled;
	ssize_t n;
	char *end, *start;

	do {
		while ((end = memchr(text, '\n', filled))) {
			bool found;

			*end++ = '\0';
			start = strstr(text, "erofs_ishare_");
			found = start && sscanf(start, "erofs_ishare_%15[a-z]: dev = (%u,%u), nid = %llu, shared ino = %lu size = %lld nrpages = %lu",
						event->what, &event->major, &event->minor, &event->nid,
						&event->shared, &event->size, &event->pages) == 7;
			if (!found)
				ktap_note("not understood: %s", text);
			filled -= end - text;
			memmove(text, end, filled);
			if (found)
				return true;
		}
		n = read(pipe, text + filled, sizeof(text) - 1 - filled);
		filled += n > 0 ? n : 0;
	} while (n > 0);
	return false;
}

/*
 * The next event is @what, of the file @st, whose shared inode is @shared, and has from
 * @least to @most pages.  A @shared of 0 becomes that of the event.
 */
static bool is_next(int pipe, const char *what, const struct stat *st, unsigned long *shared,
		    unsigned long least, unsigned long most)
{
	struct event e = { .what = "none" };

	next_event(pipe, &e);
	if (!*shared)
		*shared = e.shared;
	if (!strcmp(e.what, what) && makedev(e.major, e.minor) == st->st_dev && e.nid == st->st_ino &&
	    e.shared && e.shared == *shared && e.size == st->st_size &&
	    e.pages >= least && e.pages <= most)
		return true;
	ktap_note("%s: dev %u:%u nid %llu shared %lu size %lld pages %lu", e.what, e.major, e.minor, e.nid,
		  e.shared, e.size, e.pages);
	ktap_note("wanted %s: dev %u:%u nid %lu shared %lu size %ld pages %lu to %lu", what,
		  major(st->st_dev), minor(st->st_dev), st->st_ino, *shared, st->st_size, least, most);
	return false;
}

static unsigned long cached_pages(void)
{
	return share_counter(NULL, "cached_bytes") / getpagesize();
}

static void tracepoints(void)
{
	const char *const files[] = { "/mnt/a/data.1000003", "/mnt/b/data.1000003" };
	int pipe = open(TRACING "trace_pipe", O_RDONLY | O_NONBLOCK), a, b;
	unsigned long shared = 0, pages;
	struct event event;
	struct stat st[2];
	char byte;

	ktap_ok(share(0) && share(1), "mount both");
	ktap_ok(put(TRACING "events/erofs/erofs_ishare_attach/enable", "1") &&
		put(TRACING "events/erofs/erofs_ishare_detach/enable", "1") &&
		put(TRACING "events/erofs/erofs_ishare_switch/enable", "1"), "trace attach, detach and switch");
	while (next_event(pipe, &event))
		;
	for (int i = 0; i < 2; i++)
		stat(files[i], &st[i]);
	ktap_ok(!next_event(pipe, &event), "stat(2) attaches nothing");

	a = open(files[0], O_RDONLY);
	ktap_ok(is_next(pipe, "attach", &st[0], &shared, 0, 0), "attach: the first open");
	close(a);
	a = open(files[0], O_RDONLY);
	ktap_ok(!next_event(pipe, &event), "not the second");
	ktap_ok(ktap_is(pread(a, &byte, 1, 0), ==, 1) && !next_event(pipe, &event), "nor a read");
	pages = cached_pages();
	b = open(files[1], O_RDONLY);
	ktap_ok(pages && is_next(pipe, "attach", &st[1], &shared, pages, pages),
		"attach: the file of the other mount, %lu pages are there", pages);
	close(a);
	umount("/mnt/a");
	ktap_ok(is_next(pipe, "switch", &st[1], &shared, pages, pages), "switch: the other one serves reads");
	ktap_ok(is_next(pipe, "detach", &st[0], &shared, pages, pages),
		"detach: the file of the first mount leaves with it");
	ktap_ok(ktap_is(pread(b, &byte, 1, 0), ==, 1) && ktap_is(pread(b, &byte, 1, 1000002), ==, 1) &&
		!next_event(pipe, &event), "reads change nothing then");
	pages = cached_pages();
	close(b);
	umount("/mnt/b");
	ktap_ok(is_next(pipe, "detach", &st[1], &shared, pages, pages) &&
		!next_event(pipe, &event), "detach: the last one");
	close(pipe);
}

int main(void)
{
	ktap_begin();
	mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (!ktap_ok(find_places(), "find code to probe"))
		return ktap_end();
	uprobes(0, 0);
	uprobes(0, 1);
	landlock();
	tracepoints();
	return ktap_end();
}

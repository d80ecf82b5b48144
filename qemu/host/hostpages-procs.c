// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostpages: the users of the image - finding them, and what they map of it
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hostpages.h"

#define DELETED " (deleted)"

/* The first line of a mapping in /proc/PID/maps and smaps; see proc(5). */
struct maps_line {
	struct hp_map map;
	struct hp_ident ident;
	const char *name;	/* in the buffer that was parsed; "" if none */
};

/* What a process maps, as far as we care. */
struct scan {
	struct hp_maps maps;
	uint64_t smaps_rss, smaps_pss;	/* bytes; from smaps only */
	bool any;			/* it maps something at all */
	bool by_name;			/* one was matched by its name */
	uint64_t other_ino;		/* another file of the image's name */
	bool other_deleted;
	struct hp_map other;
};

/* Field lines of smaps begin with a capital, first lines with a hex digit. */
static bool parse_maps_line(char *line, struct maps_line *out)
{
	unsigned long long start, end, offset, ino;
	char perms[8];
	int name_at = 0;

	if (isupper((unsigned char)line[0]))
		return false;
	if (sscanf(line, "%llx-%llx %7s %llx %x:%x %llu %n", &start, &end,
		   perms, &offset, &out->ident.major, &out->ident.minor, &ino,
		   &name_at) < 7 || end < start)
		return false;
	line[strcspn(line, "\n")] = '\0';
	out->map = (struct hp_map){ start, end, offset, perms[3] == 's' };
	out->ident.ino = ino;
	out->name = name_at ? line + name_at : "";
	return true;
}

/**
 * hp_maps_escape() - a path as maps prints it
 * @path: the path
 *
 * Return: a copy in which newlines are written \012, as the kernel does to
 * keep one mapping in one line.
 */
char *hp_maps_escape(const char *path)
{
	char *name = hp_grow(NULL, strlen(path) + 1, strlen("\\012"));
	char *to = name;

	for (; *path; path++) {
		if (*path == '\n')
			to = stpcpy(to, "\\012");
		else
			*to++ = *path;
	}
	*to = '\0';
	return name;
}

static FILE *open_text(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	FILE *f;

	if (fd < 0)
		return NULL;
	f = fdopen(fd, "r");
	if (!f)
		close(fd);
	return f;
}

/**
 * hp_map_ident() - what /proc/self/maps prints for one of our own mappings
 * @addr: where it begins
 * @ident: the answer
 *
 * Return: 0 or a negative errno.
 */
int hp_map_ident(const void *addr, struct hp_ident *ident)
{
	FILE *f = open_text(AT_FDCWD, "/proc/self/maps");
	struct maps_line ml;
	char *line = NULL;
	size_t size = 0;
	int err = -ENOENT;

	if (!f)
		return -errno;
	while (err && getline(&line, &size, f) > 0) {
		if (parse_maps_line(line, &ml) &&
		    ml.map.start == (uintptr_t)addr) {
			*ident = ml.ident;
			err = 0;
		}
	}
	free(line);
	fclose(f);
	return err;
}

static bool same_ident(const struct hp_ident *a, const struct hp_ident *b)
{
	return a->major == b->major && a->minor == b->minor &&
	       a->ino == b->ino;
}

static bool is_deleted_name(const char *name, const char *of)
{
	size_t len = strlen(of);

	return !strncmp(name, of, len) && !strcmp(name + len, DELETED);
}

/*
 * Ask the kernel whether the file behind a mapping is the image.
 * Return: 1 yes, 0 no, negative errno: we may not ask.
 */
static int mapped_file_is_image(const struct hp *hp, int dir,
				const struct maps_line *ml)
{
	char path[PATH_MAX + 64];
	struct stat st;

	snprintf(path, sizeof(path), "map_files/%llx-%llx",
		 (unsigned long long)ml->map.start,
		 (unsigned long long)ml->map.end);
	if (fstatat(dir, path, &st, 0)) {
		/* The name as that process sees it, if it still has one. */
		snprintf(path, sizeof(path), "root%s", ml->name);
		if (ml->name[0] != '/' || fstatat(dir, path, &st, 0))
			return -errno;
	}
	return st.st_dev == hp->img.st.st_dev && st.st_ino == hp->img.st.st_ino;
}

/* Is this a mapping of the image? */
static bool matches(const struct hp *hp, int dir, const struct maps_line *ml,
		    struct scan *s)
{
	bool same_name = !strcmp(ml->name, hp->img.name);

	if (same_ident(&ml->ident, &hp->img.ident))
		/* If it proves nothing (btrfs: any subvolume's), ask. */
		return !hp->img.ident_differs ||
		       mapped_file_is_image(hp, dir, ml) != 0;

	if (same_name && mapped_file_is_image(hp, dir, ml) == 1) {
		s->by_name = true;
		return true;
	}
	if (same_name || is_deleted_name(ml->name, hp->img.name)) {
		s->other_ino = ml->ident.ino;
		s->other_deleted = !same_name;
		s->other = ml->map;
	}
	return false;
}

/*
 * Read @name ("maps" or "smaps") of the process in @dir.
 * Return: 0 or a negative errno; -ESRCH if it has ended.
 */
static int scan_maps(const struct hp *hp, int dir, const char *name,
		     struct scan *s)
{
	FILE *f = open_text(dir, name);
	struct maps_line ml;
	bool ours = false;
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	memset(s, 0, sizeof(*s));
	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (errno = 0, getline(&line, &size, f) > 0) {
		unsigned long long kib;
		char field[32];

		if (parse_maps_line(line, &ml)) {
			s->any = true;
			ours = matches(hp, dir, &ml, s);
			if (!ours)
				continue;
			s->maps.v = hp_grow(s->maps.v, s->maps.nr + 1,
					    sizeof(*s->maps.v));
			s->maps.v[s->maps.nr++] = ml.map;
		} else if (ours &&
			   sscanf(line, "%31[^:]: %llu kB", field, &kib) == 2) {
			/* Pages of hugetlbfs are not in Rss. */
			if (!strcmp(field, "Rss") ||
			    !strcmp(field, "Shared_Hugetlb") ||
			    !strcmp(field, "Private_Hugetlb"))
				s->smaps_rss += kib << 10;
			else if (!strcmp(field, "Pss"))
				s->smaps_pss += kib << 10;
		}
	}
	if (ferror(f))
		err = -errno;
	free(line);
	fclose(f);
	if (err)
		free(s->maps.v);
	return err;
}

static int open_proc(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	return open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
}

/* Each process of /proc but this one. */
static pid_t next_pid(DIR *proc)
{
	struct dirent *de;

	while ((de = readdir(proc))) {
		pid_t pid = atoi(de->d_name);

		if (pid > 0 && pid != getpid())
			return pid;
	}
	return 0;
}

static DIR *open_all_procs(void)
{
	DIR *proc = opendir("/proc");

	if (!proc)
		hp_die("/proc: %s", strerror(errno));
	return proc;
}

/* A file descriptor of the process in @dir for the inode, or -1. */
static int open_via_fds(int dir, const struct maps_line *ml)
{
	int fds = openat(dir, "fd", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	int fd = -1;
	struct dirent *de;
	struct stat st;
	DIR *d;

	d = fds < 0 ? NULL : fdopendir(fds);
	if (!d)
		return -1;
	while (fd < 0 && (de = readdir(d))) {
		if (fstatat(fds, de->d_name, &st, 0) == 0 &&
		    st.st_ino == ml->ident.ino &&
		    major(st.st_dev) == ml->ident.major &&
		    minor(st.st_dev) == ml->ident.minor)
			fd = openat(fds, de->d_name, O_PATH | O_CLOEXEC);
	}
	closedir(d);
	return fd;
}

/*
 * Look for a mapping of a file that was deleted under the name @name.
 * @found: the first one; further ones must be of the same file.
 */
static int deleted_in_proc(pid_t pid, const char *name,
			   struct maps_line *found, int fd)
{
	int dir = open_proc(pid);
	FILE *f = dir < 0 ? NULL : open_text(dir, "maps");
	struct maps_line ml;
	char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		char path[64];

		if (!parse_maps_line(line, &ml) ||
		    !is_deleted_name(ml.name, name))
			continue;
		if (fd >= 0) {
			if (!same_ident(&ml.ident, &found->ident))
				hp_die("%s: several files were deleted under this name; give one of them as /proc/PID/map_files/START-END, for example /proc/%d/map_files/%llx-%llx",
				       name, pid,
				       (unsigned long long)ml.map.start,
				       (unsigned long long)ml.map.end);
			continue;
		}
		snprintf(path, sizeof(path), "map_files/%llx-%llx",
			 (unsigned long long)ml.map.start,
			 (unsigned long long)ml.map.end);
		fd = openat(dir, path, O_PATH | O_CLOEXEC);
		if (fd < 0)
			fd = open_via_fds(dir, &ml);
		if (fd < 0)
			hp_die("%s was deleted; process %d maps it, but only root may open it from there",
			       name, pid);
		*found = ml;
	}
	free(line);
	if (f)
		fclose(f);
	if (dir >= 0)
		close(dir);
	return fd;
}

/**
 * hp_open_deleted() - open an image whose name is gone but which is mapped
 * @hp: the run; @hp->img.path is the name it had
 * @pids: processes in whose mappings to look
 * @nr: how many
 * @all: look in all processes
 *
 * Return: a descriptor (O_PATH), or -1 with errno ENOENT.
 */
int hp_open_deleted(struct hp *hp, const pid_t *pids, size_t nr, bool all)
{
	const char *path = hp->img.path;
	const char *slash = strrchr(path, '/');
	char *parent = slash ? strndup(path, slash - path + 1) : strdup(".");
	char *dir = parent ? realpath(parent, NULL) : NULL;
	struct maps_line found;
	int fd = -1;
	char *whole, *name;

	free(parent);
	if (!dir) {
		errno = ENOENT;
		return -1;
	}
	whole = hp_format("%s/%s", strcmp(dir, "/") ? dir : "",
			  slash ? slash + 1 : path);
	name = hp_maps_escape(whole);
	free(whole);
	for (size_t i = 0; i < nr; i++)
		fd = deleted_in_proc(pids[i], name, &found, fd);
	if (all) {
		DIR *proc = open_all_procs();
		pid_t pid;

		while ((pid = next_pid(proc)))
			fd = deleted_in_proc(pid, name, &found, fd);
		closedir(proc);
	}
	if (fd >= 0)
		hp_note(hp, "%s was deleted: counting the file that is still mapped under that name",
			path);
	free(name);
	free(dir);
	errno = ENOENT;
	return fd;
}

/* One line of a small file in /proc/PID, without its newline. */
static void read_word(int dir, const char *name, char *buf, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

/* The process that a thread id belongs to; 0 if it has ended. */
static pid_t process_of(int dir)
{
	FILE *f = open_text(dir, "status");
	char *line = NULL;
	size_t size = 0;
	int tgid = 0;

	while (f && !tgid && getline(&line, &size, f) > 0)
		sscanf(line, "Tgid: %d", &tgid);
	free(line);
	if (f)
		fclose(f);
	return tgid;
}

static const char *access_reason(int err)
{
	switch (err) {
	case -ESRCH:
		return "it has ended";
	case -EACCES:
	case -EPERM:
		return geteuid() ?
			"no permission to read its page tables; run hostpages as the same user or as root" :
			"no permission to read its page tables, even for root: it has capabilities that root has not here, or a security module protects it";
	default:
		return strerror(-err);
	}
}

static void skip_unmapped(struct hp *hp, pid_t pid, const struct scan *s)
{
	if (!s->any)
		hp_skip(hp, pid, "it has no memory: a zombie or a kernel thread");
	else if (s->other_ino)
		hp_skip(hp, pid, "it maps %s file of that name (inode %llu), not this image; to count that one, give /proc/%d/map_files/%llx-%llx as the image",
			s->other_deleted ? "a deleted" : "another",
			(unsigned long long)s->other_ino, pid,
			(unsigned long long)s->other.start,
			(unsigned long long)s->other.end);
	else
		hp_skip(hp, pid, "it does not map the image");
}

/* A process that was made by vfork() has its parent's page tables. */
static struct hp_user *user_with_same_memory(struct hp *hp, pid_t pid,
					     const struct hp_maps *maps)
{
	for (size_t i = 0; i < hp->nr_users; i++) {
		struct hp_user *u = &hp->users[i];

		if (u->maps.nr == maps->nr &&
		    u->maps.v[0].start == maps->v[0].start &&
		    syscall(SYS_kcmp, u->pid, pid, KCMP_VM, 0, 0) == 0)
			return u;
	}
	return NULL;
}

static void set_maps(struct hp_user *u, const struct scan *s)
{
	free(u->maps.v);
	u->maps = s->maps;
	u->mapped_bytes = 0;
	for (size_t i = 0; i < s->maps.nr; i++)
		u->mapped_bytes += s->maps.v[i].end - s->maps.v[i].start;
}

/* Takes over @dir and @s; closes and frees them if there is nothing to count. */
static void add_scanned(struct hp *hp, pid_t pid, int dir, struct scan *s)
{
	struct hp_user u = { .pid = pid, .dir = dir };
	struct hp_user *same;

	same = user_with_same_memory(hp, pid, &s->maps);
	if (same) {
		hp_note(hp, "process %d has the same memory as process %d: counted once, as that one",
			pid, same->pid);
		goto drop;
	}
	u.pagemap = openat(dir, "pagemap", O_RDONLY | O_CLOEXEC);
	if (u.pagemap < 0) {
		hp_skip(hp, pid, "pagemap: %s", access_reason(-errno));
		goto drop;
	}
	if (s->by_name)
		hp_note(hp, "process %d: maps and stat name different devices; matched by name and what stat says of it",
			pid);
	read_word(dir, "comm", u.comm, sizeof(u.comm));
	set_maps(&u, s);
	hp->users = hp_grow(hp->users, hp->nr_users + 1, sizeof(u));
	hp->users[hp->nr_users++] = u;
	return;
drop:
	free(s->maps.v);
	close(dir);
}

/*
 * Make a user of the process if it maps the image.  Takes over @dir; @s says
 * afterwards what else the process has.
 *
 * Return: 1, 0 if it is no user, or why that is not known (-errno).
 */
static int take_process(struct hp *hp, pid_t pid, int dir, struct scan *s)
{
	int err = scan_maps(hp, dir, "maps", s);

	if (!err && s->maps.nr) {
		add_scanned(hp, pid, dir, s);
		return 1;
	}
	close(dir);
	if (err && err != -ESRCH)
		hp_skip(hp, pid, "%s", access_reason(err));
	return err;
}

static bool have_user(const struct hp *hp, pid_t pid)
{
	for (size_t i = 0; i < hp->nr_users; i++)
		if (hp->users[i].pid == pid)
			return true;
	return false;
}

/**
 * hp_add_user() - make a process that the caller named a user to be counted
 * @hp: the run
 * @pid: process, or one of its threads
 *
 * If it cannot be counted, it goes to @hp->skipped with the reason.
 */
void hp_add_user(struct hp *hp, pid_t pid)
{
	int dir = open_proc(pid);
	struct scan s;
	pid_t tgid;
	int err;

	if (dir < 0) {
		/* hidepid= hides what others run; kill() does not. */
		if (kill(pid, 0) && errno == EPERM)
			hp_skip(hp, pid, "%s", access_reason(-EPERM));
		else
			hp_skip(hp, pid, "there is no such process");
		return;
	}
	tgid = process_of(dir);
	if (tgid && tgid != pid) {
		hp_note(hp, "%d is a thread of process %d: counted as that one",
			pid, tgid);
		close(dir);
		if (!have_user(hp, tgid))
			hp_add_user(hp, tgid);
		return;
	}
	if (have_user(hp, pid)) {
		hp_note(hp, "process %d was given twice: counted once", pid);
		close(dir);
		return;
	}
	err = take_process(hp, pid, dir, &s);
	if (err == -ESRCH)
		hp_skip(hp, pid, "%s", access_reason(err));
	else if (!err)
		skip_unmapped(hp, pid, &s);
}

/**
 * hp_add_all() - find all processes that map the image
 * @hp: the run
 *
 * A process that may not be looked at goes to @hp->skipped, since it may be a
 * user.  One that ends meanwhile is none.
 */
void hp_add_all(struct hp *hp)
{
	DIR *proc = open_all_procs();
	pid_t pid;

	while ((pid = next_pid(proc))) {
		int dir = open_proc(pid);
		struct scan s;

		if (dir < 0 || have_user(hp, pid)) {
			if (dir >= 0)
				close(dir);
			continue;
		}
		if (!take_process(hp, pid, dir, &s) && s.other_ino)
			hp_note(hp, "process %d maps %s file of that name (inode %llu), not this image",
				pid, s.other_deleted ? "a deleted" : "another",
				(unsigned long long)s.other_ino);
	}
	closedir(proc);
}

static bool same_maps(const struct hp_maps *a, const struct hp_maps *b)
{
	if (a->nr != b->nr)
		return false;
	for (size_t i = 0; i < a->nr; i++) {
		const struct hp_map *x = &a->v[i], *y = &b->v[i];

		if (x->start != y->start || x->end != y->end ||
		    x->offset != y->offset || x->shared != y->shared)
			return false;
	}
	return true;
}

static void drop_user(struct hp *hp, size_t i)
{
	struct hp_user *u = &hp->users[i];

	free(u->maps.v);
	close(u->dir);
	close(u->pagemap);
	memmove(u, u + 1, (--hp->nr_users - i) * sizeof(*u));
}

/**
 * hp_verify_users() - see whether the users are still what was counted
 * @hp: the run
 *
 * Who has ended, started another program or given up the image is skipped.
 * Changed mappings are taken over, and @hp->nr_maps_changed says how many had
 * some.  What smaps says is stored, as a check of what was counted.
 *
 * Return: whether some were skipped: then the figures hold pages of theirs,
 * and must be counted anew.
 */
bool hp_verify_users(struct hp *hp)
{
	size_t nr_before = hp->nr_users;

	hp->nr_maps_changed = 0;
	for (size_t i = 0; i < hp->nr_users; ) {
		struct hp_user *u = &hp->users[i];
		struct scan s;
		int err = scan_maps(hp, u->dir, "smaps", &s);

		if (err || !s.maps.nr) {
			if (err || !s.any)
				hp_skip(hp, u->pid, "%s while it was being counted",
					err && err != -ESRCH ? access_reason(err) :
							       "it ended");
			else
				hp_skip(hp, u->pid, "it gave up the image while it was being counted");
			drop_user(hp, i);
			continue;
		}
		u->smaps_rss = s.smaps_rss;
		u->smaps_pss = s.smaps_pss;
		if (same_maps(&u->maps, &s.maps)) {
			free(s.maps.v);
		} else {
			/* After an exec, pagemap is that of the old program. */
			int fd = openat(u->dir, "pagemap", O_RDONLY | O_CLOEXEC);

			if (fd >= 0) {
				close(u->pagemap);
				u->pagemap = fd;
			}
			set_maps(u, &s);
			hp->nr_maps_changed++;
		}
		i++;
	}
	return hp->nr_users != nr_before;
}

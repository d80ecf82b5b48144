// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostpages: the users of the image - finding them, and what they map of it
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hostpages.h"

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
	FILE *f = hp_open_text(dir, "status");
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

static void skip_unmapped(struct hp *hp, pid_t pid, const struct hp_scan *s)
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

static void set_maps(struct hp_user *u, const struct hp_scan *s)
{
	free(u->maps.v);
	u->maps = s->maps;
	u->mapped_bytes = 0;
	for (size_t i = 0; i < s->maps.nr; i++)
		u->mapped_bytes += s->maps.v[i].end - s->maps.v[i].start;
}

/* Takes over @dir and @s; closes and frees them if there is nothing to count. */
static void add_scanned(struct hp *hp, pid_t pid, int dir, struct hp_scan *s)
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
static int take_process(struct hp *hp, pid_t pid, int dir, struct hp_scan *s)
{
	int err = hp_scan_maps(hp, dir, "maps", s);

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
	int dir = hp_open_proc(pid);
	struct hp_scan s;
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
	DIR *proc = hp_open_all_procs();
	pid_t pid;

	while ((pid = hp_next_pid(proc))) {
		int dir = hp_open_proc(pid);
		struct hp_scan s;

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
		struct hp_scan s;
		int err = hp_scan_maps(hp, u->dir, "smaps", &s);

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

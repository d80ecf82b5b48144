// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostpages: /proc - which processes there are, and what they map of the image
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostpages.h"

#define DELETED " (deleted)"

/**
 * hp_parse_maps_line() - take the first line of a mapping in maps or smaps apart
 * @line: the line; its newline is cut off
 * @out: what it says; refers to @line
 *
 * Field lines of smaps begin with a capital, first lines with a hex digit.
 *
 * Return: whether it is one.
 */
bool hp_parse_maps_line(char *line, struct hp_maps_line *out)
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

FILE *hp_open_text(int dir, const char *name)
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
	FILE *f = hp_open_text(AT_FDCWD, "/proc/self/maps");
	struct hp_maps_line ml;
	char *line = NULL;
	size_t size = 0;
	int err = -ENOENT;

	if (!f)
		return -errno;
	while (err && getline(&line, &size, f) > 0) {
		if (hp_parse_maps_line(line, &ml) &&
		    ml.map.start == (uintptr_t)addr) {
			*ident = ml.ident;
			err = 0;
		}
	}
	free(line);
	fclose(f);
	return err;
}

bool hp_same_ident(const struct hp_ident *a, const struct hp_ident *b)
{
	return a->major == b->major && a->minor == b->minor &&
	       a->ino == b->ino;
}

bool hp_is_deleted_name(const char *name, const char *of)
{
	size_t len = strlen(of);

	return !strncmp(name, of, len) && !strcmp(name + len, DELETED);
}

/*
 * Ask the kernel whether the file behind a mapping is the image.
 * Return: 1 yes, 0 no, negative errno: we may not ask.
 */
static int mapped_file_is_image(const struct hp *hp, int dir,
				const struct hp_maps_line *ml)
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
static bool matches(const struct hp *hp, int dir, const struct hp_maps_line *ml,
		    struct hp_scan *s)
{
	bool same_name = !strcmp(ml->name, hp->img.name);

	if (hp_same_ident(&ml->ident, &hp->img.ident))
		/* If it proves nothing (btrfs: any subvolume's), ask. */
		return !hp->img.ident_differs ||
		       mapped_file_is_image(hp, dir, ml) != 0;

	if (same_name && mapped_file_is_image(hp, dir, ml) == 1) {
		s->by_name = true;
		return true;
	}
	if (same_name || hp_is_deleted_name(ml->name, hp->img.name)) {
		s->other_ino = ml->ident.ino;
		s->other_deleted = !same_name;
		s->other = ml->map;
	}
	return false;
}

/**
 * hp_scan_maps() - find what a process maps of the image
 * @hp: the run; the image is known
 * @dir: /proc/PID
 * @name: "maps" or "smaps"
 * @s: the answer; the caller frees its maps
 *
 * Return: 0 or a negative errno; -ESRCH if the process has ended.
 */
int hp_scan_maps(const struct hp *hp, int dir, const char *name,
		     struct hp_scan *s)
{
	FILE *f = hp_open_text(dir, name);
	struct hp_maps_line ml;
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

		if (hp_parse_maps_line(line, &ml)) {
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

int hp_open_proc(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	return open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
}

/* Each process of /proc but this one. */
pid_t hp_next_pid(DIR *proc)
{
	struct dirent *de;

	while ((de = readdir(proc))) {
		pid_t pid = atoi(de->d_name);

		if (pid > 0 && pid != getpid())
			return pid;
	}
	return 0;
}

DIR *hp_open_all_procs(void)
{
	DIR *proc = opendir("/proc");

	if (!proc)
		hp_die("/proc: %s", strerror(errno));
	return proc;
}

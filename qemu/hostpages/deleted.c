// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostpages: an image whose name is gone, but which is mapped
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hostpages.h"

/* A file descriptor of the process in @dir for the inode, or -1. */
static int open_via_fds(int dir, const struct hp_maps_line *ml)
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
			   struct hp_maps_line *found, int fd)
{
	int dir = hp_open_proc(pid);
	FILE *f = dir < 0 ? NULL : hp_open_text(dir, "maps");
	struct hp_maps_line ml;
	char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		char path[64];

		if (!hp_parse_maps_line(line, &ml) ||
		    !hp_is_deleted_name(ml.name, name))
			continue;
		if (fd >= 0) {
			if (!hp_same_ident(&ml.ident, &found->ident))
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
	struct hp_maps_line found;
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
		DIR *proc = hp_open_all_procs();
		pid_t pid;

		while ((pid = hp_next_pid(proc)))
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

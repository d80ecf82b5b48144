// SPDX-License-Identifier: GPL-2.0-or-later
/* Read a list of files; filelist.h says what it looks like. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "filelist.h"

#define DIGEST_DIGITS	64
/* digits, two blanks */
#define PATH_OFFSET	(DIGEST_DIGITS + 2)

int file_list_read(struct file_list *list, const char *name)
{
	FILE *f = fopen(name, "re");
	struct stat st;
	char *buf, *p, *end, *nul;
	size_t alloc = 0;

	list->entries = NULL;
	list->count = 0;
	if (!f || fstat(fileno(f), &st)) {
		warn("%s", name);
		return -1;
	}
	buf = malloc(st.st_size + 1);
	if (!buf || fread(buf, 1, st.st_size, f) != (size_t)st.st_size) {
		warn("%s", name);
		fclose(f);
		return -1;
	}
	fclose(f);

	end = buf + st.st_size;
	for (p = buf; p < end; p = nul + 1) {
		nul = memchr(p, '\0', end - p);
		if (!nul || nul - p <= PATH_OFFSET || p[DIGEST_DIGITS] != ' ') {
			warnx("%s: no list of files at byte %td", name, p - buf);
			return -1;
		}
		if (list->count == alloc) {
			alloc = alloc ? 2 * alloc : 1024;
			list->entries = realloc(list->entries,
						alloc * sizeof(*list->entries));
			if (!list->entries) {
				warn("%s", name);
				return -1;
			}
		}
		list->entries[list->count].digest = p;
		list->entries[list->count].path = p + PATH_OFFSET;
		list->count++;
	}
	return 0;
}

int file_list_arguments(struct file_list *list, int argc, char **argv,
			const char *more)
{
	int root;

	if (argc < 3 || (argc > 3 && !more)) {
		fprintf(stderr, "usage: %s ROOT LIST%s%s\n",
			program_invocation_short_name, more ? " " : "",
			more ?: "");
		exit(2);
	}
	root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		err(2, "%s", argv[1]);
	if (file_list_read(list, argv[2]))
		exit(2);
	return root;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * init: modules of the kernel, for one that is not built for the harness
 *
 * /harness/modules/NN-NAME.ko are loaded in the order of their names, with the
 * parameters NAME.PARAMETER=VALUE of the kernel's command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"

/* The parameters of the module in file NN-NAME.ko. Return: malloc'ed. */
static char *parameters(const char *path)
{
	const char *name = strchr(strrchr(path, '/'), '-') + 1;
	size_t len = strlen(name) - strlen("ko");	/* with the dot */
	char *words = slurp("/proc/cmdline", NULL), *save = NULL;
	char *found = calloc(1, words ? strlen(words) + 1 : 1);

	for (char *w = words ? strtok_r(words, " \n", &save) : NULL; w && found;
	     w = strtok_r(NULL, " \n", &save))
		if (!strncmp(w, name, len)) {
			strcat(found, w + len);
			strcat(found, " ");
		}
	free(words);
	return found;
}

static int load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *words = parameters(path);
	int rc = fd < 0 || !words ? -1 : syscall(SYS_finit_module, fd, words, 0);

	if (rc)
		send_error("%s: %s", path, strerror(errno));
	free(words);
	if (fd >= 0)
		close(fd);
	return rc;
}

int load_modules(void)
{
	glob_t found;
	int rc = 0;

	if (glob("/harness/modules/*-*.ko", 0, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc && !rc; i++)
		rc = load_module(found.gl_pathv[i]);
	globfree(&found);
	return rc;
}

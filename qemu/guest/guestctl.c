// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guestctl - talk to the harness from a program or script in a guest
 *
 * usage: guestctl ready [NAME]     wait until all guests of the run are at the
 *                                  barrier NAME (default: ready)
 *        guestctl result JSON      hand a JSON value to the harness; "-" reads
 *                                  it from standard input
 *
 * Exit status: 0, 1 the harness could not be reached, 2 usage.
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

static char *read_stdin(void)
{
	size_t len = 0, alloc = 4096, n;
	char *buf = malloc(alloc);

	while (buf && (n = fread(buf + len, 1, alloc - len - 1, stdin)) > 0) {
		len += n;
		if (len == alloc - 1)
			buf = realloc(buf, alloc *= 2);
	}
	if (!buf || ferror(stdin))
		err(1, "standard input");
	buf[len] = '\0';
	return buf;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "", *arg = argc > 2 ? argv[2] : NULL;
	int ret;

	if (!strcmp(verb, "ready") && argc <= 3)
		ret = guest_barrier(arg ? arg : "ready");
	else if (!strcmp(verb, "result") && argc == 3)
		ret = guest_result(strcmp(arg, "-") ? arg : read_stdin());
	else
		errx(2, "usage: guestctl ready [NAME] | guestctl result JSON|-");
	if (ret)
		err(errno == EINVAL ? 2 : 1, "%s: cannot talk to the harness", verb);
	return 0;
}

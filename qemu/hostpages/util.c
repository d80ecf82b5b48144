// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostpages: memory and messages
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdlib.h>

#include "hostpages.h"

void *hp_grow(void *p, size_t nr, size_t size)
{
	p = reallocarray(p, nr ? nr : 1, size);
	if (!p)
		hp_die("no memory for %zu times %zu bytes", nr, size);
	return p;
}

static char *vformat(const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		hp_die("no memory for a message");
	return s;
}

char *hp_format(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = vformat(fmt, ap);
	va_end(ap);
	return s;
}

void hp_die(const char *fmt, ...)
{
	va_list ap;

	fputs("hostpages: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(HP_EXIT_NOTHING);
}

void hp_note(struct hp *hp, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = vformat(fmt, ap);
	va_end(ap);
	fprintf(stderr, "hostpages: %s\n", s);
	hp->notes = hp_grow(hp->notes, hp->nr_notes + 1, sizeof(*hp->notes));
	hp->notes[hp->nr_notes++] = s;
}

void hp_skip(struct hp *hp, pid_t pid, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = vformat(fmt, ap);
	va_end(ap);
	fprintf(stderr, "hostpages: process %d is not counted: %s\n", pid, s);
	hp->skipped = hp_grow(hp->skipped, hp->nr_skipped + 1,
			      sizeof(*hp->skipped));
	hp->skipped[hp->nr_skipped++] = (struct hp_skip){ pid, s };
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KTAP for tests in C: ktap_begin(), one result for each check, ktap_end().  The
 * format is that of the kernel's Documentation/dev-tools/ktap.rst, with the plan
 * at the end.
 */
#ifndef KTAP_H
#define KTAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int ktap_number, ktap_failed;

/** ktap_begin - the first call; output goes out line by line from here */
static inline void ktap_begin(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("KTAP version 1");
}

/**
 * ktap_ok - one result
 * @ok:  is it good?
 * @fmt: its name, as for printf; no '#' in it
 *
 * Return: @ok.
 */
__attribute__((format(printf, 2, 3)))
static inline bool ktap_ok(bool ok, const char *fmt, ...)
{
	va_list ap;

	ktap_failed += !ok;
	printf("%sok %d - ", ok ? "" : "not ", ++ktap_number);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return ok;
}

/** ktap_note - a remark; shown for the result that follows if that fails */
__attribute__((format(printf, 1, 2)))
static inline void ktap_note(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/** ktap_skip - one result that could not be had, and why */
static inline void ktap_skip(const char *name, const char *why)
{
	printf("ok %d - %s # SKIP %s\n", ++ktap_number, name, why);
}

/** ktap_end - print the plan. Return: the exit status for main() */
static inline int ktap_end(void)
{
	printf("1..%d\n", ktap_number);
	return ktap_failed ? 1 : 0;
}

#endif

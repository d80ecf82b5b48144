/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KTAP for tests in C: a plan, then one result for each check.  The format is
 * that of the kernel's Documentation/dev-tools/ktap.rst.
 */
#ifndef KTAP_H
#define KTAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int ktap_number, ktap_failed;

/** ktap_plan - say how many results follow */
static inline void ktap_plan(int count)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..%d\n", count);
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

/** ktap_end - Return: the exit status for main() */
static inline int ktap_end(void)
{
	return ktap_failed ? 1 : 0;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KTAP for tests in C: ktap_begin(), one result for each check, ktap_end().  The
 * format is that of the kernel's Documentation/dev-tools/ktap.rst, with the plan
 * at the end.  A result that is not good has a remark with what was compared, so
 * write
 *
 *	ktap_eq(cached(file), 16, "all of the file is cached");
 *	ktap_fails(pread(fd, &c, 1, 0) < 0, EIO, "a read gives EIO");
 *	ktap_ok(ktap_is(n, >, 3) && ktap_is(n, <, 60), "that takes some seconds");
 *
 * and ktap_ok() alone where there is nothing but a truth.
 */
#ifndef KTAP_H
#define KTAP_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int ktap_number, ktap_failed;
/* a remark on what is wrong stands there already */
static bool ktap_told;

/** ktap_begin - the first call; output goes out line by line from here */
static inline void ktap_begin(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("KTAP version 1");
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

/* ktap_ok(), with the text of what is to be true */
__attribute__((format(printf, 3, 4)))
static inline bool ktap_result(bool ok, const char *text, const char *fmt, ...)
{
	int error = errno;
	va_list ap;

	if (!ok && !ktap_told && strcmp(text, "false"))
		ktap_note("not so: %s; errno is %d (%s)", text, error, strerror(error));
	ktap_told = false;
	ktap_failed += !ok;
	printf("%sok %d - ", ok ? "" : "not ", ++ktap_number);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return ok;
}

/**
 * ktap_ok - one result
 * @ok: is it good?
 * @...: its name, as for printf; no '#' in it
 *
 * Return: @ok.
 */
#define ktap_ok(ok, ...) ktap_result((ok), #ok, __VA_ARGS__)

/* A number or an address, to be compared and printed. */
#define KTAP_VALUE(x) \
	__builtin_choose_expr(__builtin_types_compatible_p(__typeof__(x), double), (x), (long long)(uintptr_t)(x))

static inline bool ktap_compared(bool ok, const char *text, long double got, const char *op, long double want)
{
	if (!ok) {
		ktap_note("%s is %.19Lg, wanted %s %.19Lg", text, got, op, want);
		ktap_told = true;
	}
	return ok;
}

/**
 * ktap_is - compare two numbers, with a remark on both if it does not hold
 * @got:  what there is
 * @op:   ==, !=, <, <=, > or >=
 * @want: what it is compared with
 *
 * Return: whether it holds; for ktap_ok().
 */
#define ktap_is(got, op, want) ({					\
	__auto_type ktap_got = KTAP_VALUE(got);				\
	__auto_type ktap_want = KTAP_VALUE(want);			\
	ktap_compared(ktap_got op ktap_want, #got, ktap_got, #op, ktap_want); })

/** ktap_eq - one result: is @got the number @want? */
#define ktap_eq(got, want, ...) ktap_result(ktap_is(got, ==, want), #got, __VA_ARGS__)

/* What ktap_fails() is about, with a remark. */
static inline bool ktap_failed_with(bool failed, int wanted, const char *text)
{
	int error = errno;

	if (failed && error == wanted)
		return true;
	ktap_note("%s: %s, errno is %d (%s), wanted %d (%s)", text, failed ? "so" : "not so", error,
		  strerror(error), wanted, strerror(wanted));
	ktap_told = true;
	return false;
}

/** ktap_fails - one result: does @failure hold, and has it left @error in errno? */
#define ktap_fails(failure, error, ...) \
	ktap_result(ktap_failed_with((failure), error, #failure), #failure, __VA_ARGS__)

/** ktap_skip - one result that cannot be found here, and why */
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

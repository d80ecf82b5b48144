/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SIGBUS for tests in C: a load from a mapping that the file has no data for.
 *
 *	sigbus_catch();
 *	if (sigbus_came())
 *		(a load below has given SIGBUS)
 *	else
 *		(loads)
 */
#ifndef SIGBUS_H
#define SIGBUS_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>

static sigjmp_buf sigbus_place;

static inline void sigbus_jump(int sig)
{
	siglongjmp(sigbus_place, sig);
}

/** sigbus_catch - from here on SIGBUS leads to the last sigbus_came() */
static inline void sigbus_catch(void)
{
	signal(SIGBUS, sigbus_jump);
}

/** sigbus_came - false; and a second time true, if SIGBUS comes in what follows */
#define sigbus_came() (sigsetjmp(sigbus_place, 1) != 0)

/** gives_sigbus - does a load from @p give SIGBUS? */
static inline bool gives_sigbus(const volatile char *p)
{
	if (sigbus_came())
		return true;
	(void)*p;
	return false;
}

#endif

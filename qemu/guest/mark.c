// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mark - begin a pass that a plugin of QEMU counts something in
 *
 * usage: mark 0|1|2|3|4		(0: what follows is in no pass)
 */
#include <stdio.h>

#include "profile.h"

int main(int argc, char **argv)
{
	switch (argc == 2 && !argv[1][1] ? argv[1][0] : '\0') {
	case '0':
		PROFILE_MARK(0);
		return 0;
	case '1':
		PROFILE_MARK(1);
		return 0;
	case '2':
		PROFILE_MARK(2);
		return 0;
	case '3':
		PROFILE_MARK(3);
		return 0;
	case '4':
		PROFILE_MARK(4);
		return 0;
	}
	fputs("usage: mark 0|1|2|3|4\n", stderr);
	return 2;
}

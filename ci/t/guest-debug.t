#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# All guest tests on the kernel of flavour "debug".  What passed with the same
# kernel, programs and images is not run again ("make test" runs it).  With CHECK_UNTIL,
# in seconds since 1970, no test starts after that, and "make check" had perhaps no time to build it.
cd "$(dirname "$0")/../.." || exit 1
if [ -n "$CHECK_UNTIL" ] && [ ! -e "$(make -s print-BASE_BUILD)/kernel-debug/arch/x86/boot/bzImage" ]; then
	echo "1..0 # SKIP no time was left to build the kernel; 'make test FLAVOUR=debug' does"
	exit 0
fi
exec qemu/vm test --all --tap --flavour debug --known "${BUILD:-build}/check/proved" ${CHECK_UNTIL:+--until "$CHECK_UNTIL"}

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# All guest tests on the kernel of flavour "fast".  What passed with the same
# kernel, programs and images is not run again ("make test" runs it).  With CHECK_END,
# in seconds since 1970, no test starts after that.
cd "$(dirname "$0")/../.." &&
	exec qemu/vm test --all --tap --flavour fast --known "${BUILD:-build}/check/proved" ${CHECK_END:+--until "$CHECK_END"}

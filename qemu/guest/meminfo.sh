# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a piece of work adds to the memory of this kernel; to be sourced.
#
#   memory_before   the work starts
#   memory_after    the work is done: $cached, $buffers and $slab are the growth of
#                   Cached, Buffers and Slab in /proc/meminfo, in KiB

meminfo() { sed -n "s/^$1: *\([0-9]*\) kB/\1/p" /proc/meminfo; }

memory_before()
{
	# Each CPU has a part of these counters for itself until asked to hand it in.
	echo 1 > /proc/sys/vm/stat_refresh
	cached=$(meminfo Cached) buffers=$(meminfo Buffers) slab=$(meminfo Slab)
}

memory_after()
{
	echo 1 > /proc/sys/vm/stat_refresh
	cached=$(($(meminfo Cached) - cached)) buffers=$(($(meminfo Buffers) - buffers))
	slab=$(($(meminfo Slab) - slab))
}

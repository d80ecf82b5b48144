#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# erofs-utils/tests/endian.t - what is on the disk is little endian, whatever machine writes it
#
# Prints TAP.  sparse knows the types of the format (__le32) from those of the machine, so
# it finds what only a big-endian machine would show; "make check-utils-machines" runs one.
. "$(dirname "$0")/lib.sh"

tree=$UTILS_BUILD/tree
command -v sparse > /dev/null || bail "sparse is missing: make packages"

# sparsed FILE...: what sparse finds wrong with byte orders
sparsed()
{
	local f

	for f; do
		sparse -D__CHECK_ENDIAN__ -Wbitwise -Wno-decl -I"$tree/include" -I"$tree/lib" -I"$UTILS_BUILD/tools" \
			-DHAVE_CONFIG_H -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 "$f" 2>&1 | grep -E "restricted|different base|degrades"
	done
}
none() { sparsed "$@" > "$T/found"; cat "$T/found"; [ ! -s "$T/found" ]; }

printf '%s\n' '#include "erofs/defs.h"' '#include "erofs_fs.h"' 'u32 f(struct erofs_super_block *s);' \
	'u32 f(struct erofs_super_block *s) { s->build_time = cpu_to_le64(1); return s->inos; }' > "$T/wrong.c"
check "sparse tells byte orders apart" [ "$(sparsed "$T/wrong.c" | grep -c warning)" = 2 ]
for f in "$tree"/lib/*.c "$tree"/{mkfs,fsck,dump}/main.c; do
	check "${f#"$tree/"}" none "$f"
done
done_testing

# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where erofs-utils are built.  To be sourced; the makefile sets the same.
#
# BUILD, UTILS_BUILD (what is built of the base $UTILS_BASE), MKFS, FSCK and DUMP;
# $here is the top of this repository.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${BUILD:=$here/build}" "${UTILS_BASE:=$(basename "$(readlink "$here/erofs-utils/default")" .base)}"
: "${UTILS_BUILD:=$BUILD/$UTILS_BASE}"
: "${MKFS:=$UTILS_BUILD/tools/mkfs/mkfs.erofs}" "${FSCK:=$UTILS_BUILD/tools/fsck/fsck.erofs}"
: "${DUMP:=$UTILS_BUILD/tools/dump/dump.erofs}"

# SPDX-License-Identifier: GPL-2.0-or-later
#
# ci/proved.sh - remember what a test has shown; to be sourced
#
#   key            the checksum of stdin, short
#   proved KEY     was that shown before?
#   prove KEY      it is shown now
#
# It is kept in build/check/proved; remove that to have all shown again.

key() { sha256sum | cut -c1-32; }
proved() { [ -e "$BUILD/check/proved/$1" ]; }
prove() { mkdir -p "$BUILD/check/proved" && : > "$BUILD/check/proved/$1"; }

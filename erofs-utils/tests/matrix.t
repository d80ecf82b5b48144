#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A fixed sample of the combinations of tests/matrix; "make check-utils-matrix" runs all.
exec "$(dirname "$0")/matrix" quick

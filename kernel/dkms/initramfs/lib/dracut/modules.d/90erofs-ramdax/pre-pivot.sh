#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
/usr/lib/erofs-ramdax/overlay "$NEWROOT"

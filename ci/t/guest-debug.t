#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# All guest tests on the kernel of flavour "debug".
cd "$(dirname "$0")/../.." && exec qemu/vm test --all --tap --flavour debug

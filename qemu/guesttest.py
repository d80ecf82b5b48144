# SPDX-License-Identifier: GPL-2.0-or-later
def add_parser(sub):
    pass

# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of "make demo": guests on one golden image (qemu/demo).

    guests      which guests there are, and what each does
    host        what the host says of its memory
    report      the report, what speaks against sharing, the tables
    containers  two versions of the image as two containers of one guest
"""

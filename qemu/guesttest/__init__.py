# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest tests: what each declares, making its images, running it, judging its KTAP.

A test is qemu/tests/GROUP/NAME.sh (busybox sh) or qemu/tests/GROUP/NAME.c (built as
a static program to build/guest/tests/GROUP/NAME).  Its first comment declares what it
needs, in lines "KEY: VALUE"; Documentation/tests.md lists the keys.

    spec     what a test declares, and where tests are
    image    images, made by recipes and kept
    ktap     the rules of KTAP
    run      run tests against one kernel, and judge them
    command  subcommands of qemu/vm
"""
from .command import add_parser
from .image import make_image
from .ktap import judge
from .run import Result, Run
from .spec import Spec, find, test_groups

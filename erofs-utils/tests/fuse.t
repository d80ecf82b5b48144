#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is read from a mount of erofsfuse is what the image says, and large directories take no longer for each name."""
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from taplib import MKFS, Tap, Wrong, compare, must, put, snapshot  # noqa: E402

tap = Tap()
FUSE = os.environ.get("EROFSFUSE", os.path.join(os.path.dirname(MKFS), "../fuse/erofsfuse"))


def mounted(function, *options):
    os.makedirs(tap.path("mnt"))
    must(MKFS, "--quiet", *options, tap.path("img"), tap.path("dir"))
    must(FUSE, tap.path("img"), tap.path("mnt"))
    try:
        function(tap.path("dir"), tap.path("mnt"))
    finally:
        must("umount", tap.path("mnt"))


def equal(*options):
    for n, size in enumerate((0, 1, 4095, 4096, 100000)):
        put(tap.path(f"dir/d{n}/f"), (b"%d " % n * size)[:size])
    for n in range(3000):
        put(tap.path(f"dir/many/{n}"), b"%d" % n)
    put(tap.path("dir/names/" + "n" * 255), b"")
    put(tap.path("dir/names/!"), b"before the dots")
    os.symlink("target", tap.path("dir/link"))
    os.link(tap.path("dir/d4/f"), tap.path("dir/hard"))
    os.utime(tap.path("dir/d4/f"), ns=(0, 1234567890_123456789))

    def check(want, got):
        compare(snapshot(want), snapshot(got))
        for name in "names/" + "n" * 254, "many/3000", "many/-", "many/~", "d0/g", "nothing":
            if os.path.lexists(got + "/" + name):
                raise Wrong(f"there is {name}")

    mounted(check, *options)


def large(number):
    """The time to look for all names: it was 4 times as much for 2 times the names."""
    os.makedirs(tap.path("dir"))
    for n in range(number):
        os.mknod(tap.path(f"dir/a-name-that-is-somewhat-longer-{n}"))

    def check(_, got):
        end = time.monotonic() + 40
        for n in range(0, number, 16):
            os.lstat(f"{got}/a-name-that-is-somewhat-longer-{n}")
            if time.monotonic() > end:
                raise Wrong(f"{n} of {number} names in 40 s")

    mounted(check)


# root of a container may not mount
probe = os.path.exists("/dev/fuse") and os.geteuid() == 0 and os.path.exists(FUSE) and shutil.which("umount") and \
    subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
for options in (), ("-zlz4", "-Eall-fragments,dedupe"), ("-b512", "-zdeflate", "-C8192", "--zD"), ("--chunksize=4096", "-E48bit"):
    if probe:
        tap.check("all is there: " + " ".join(options or ("no options",)), equal, *options)
    else:
        tap.skip("all is there", "no /dev/fuse, not root, no right to mount, or no erofsfuse")
if probe:
    tap.check("a directory of 100,000 names", large, 100000)
else:
    tap.skip("a directory of 100,000 names", "no /dev/fuse, not root, no right to mount, or no erofsfuse")
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Inputs that once crashed the tools or gave wrong images, kept by name in tests/cases: each one gives
the right tree, or one clear error and no output file."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from taplib import DUMP, FSCK, HERE, MKFS, Tap, Wrong, compare, must, must_fail, run, snapshot  # noqa: E402

tap = Tap()

# What mkfs.erofs --tar=f says, or None where it has to make what GNU tar makes.
TARS = {
    "areg.tar": None,           # regular file with typeflag NUL
    "rootdir.tar": None,        # entry "/"
    "Lhuge.tar": "too long",    # GNU long name of 2^60 bytes
    "devbad.tar": "dev(major|minor) is",
    "ltgt.tar": "directory|empty name",  # hard link to "."
    "paxneg.tar": "out of range",        # PAX size=-1
    "paxxattr.tar": "too long",          # name of an xattr over 255 bytes
}
# What fsck.erofs says.
IMAGES = {
    "beyond.erofs": "behind its end",
    "huge-chunk.erofs": "behind its end",
}


def tar_case(name, regex):
    tar, img, out = os.path.join(HERE, "cases", name), tap.path("img"), tap.path("out")
    if regex:
        must_fail(regex, MKFS, "--quiet", "--tar=f", img, tar)
        if os.path.exists(img):
            raise Wrong("there is an output file")
        return
    os.mkdir(tap.path("want"))
    subprocess.run(["tar", "-C", tap.path("want"), "--numeric-owner", "-xpf", tar], check=True)
    must(MKFS, "--quiet", "--tar=f", img, tar)
    must(FSCK, "--extract=" + out, img)
    want, got = snapshot(tap.path("want")), snapshot(out)
    for tree in want, got:
        del tree["."]
    compare(want, got)


def image_case(name, regex):
    img = os.path.join(HERE, "cases", name)
    must_fail(regex, FSCK, img)
    must_fail(regex, FSCK, "--extract=" + tap.path("out"), img)
    for args in (["-sS"], ["-e", "--nid=36"], ["--ls", "--path=/"]):
        rc, said = run(DUMP, *args, img)
        if rc > 1:
            raise Wrong(f"dump {args}: exit status {rc}\n{said}")


for case, regex in TARS.items():
    tap.check(f"{case}: {regex or 'what GNU tar extracts'}", tar_case, case, regex)
for case, regex in IMAGES.items():
    tap.check(f"{case}: {regex}", image_case, case, regex)
tap.check("whe.tar: a whiteout of nothing, with --aufs", lambda: must_fail(
    "without a name", MKFS, "--quiet", "--tar=f", "--aufs", tap.path("img"), os.path.join(HERE, "cases", "whe.tar")))
unknown = set(os.listdir(os.path.join(HERE, "cases"))) - TARS.keys() - IMAGES.keys() - {"whe.tar"}
tap.check("each case is tried", lambda: compare({}, {name: "not tried" for name in unknown}))
tap.done()

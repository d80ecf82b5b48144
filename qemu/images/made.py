# SPDX-License-Identifier: GPL-2.0-or-later
"""Images that are made of a golden image when they are needed, and kept."""
import os
import shutil

import harness
from harness import HarnessError

HERE = os.path.dirname(os.path.abspath(__file__))


def _make(outputs, inputs, tool, words, what):
    """Run `tool` of this folder unless its outputs are there.

    fakeroot: owners and device nodes are kept without being root.
    """
    tool = os.path.join(HERE, tool)
    harness.make_once(outputs, [*inputs, tool], ["fakeroot", tool, *words], what)


def _mkfs():
    """The mkfs.erofs that images are made with, another one makes them anew."""
    mkfs = shutil.which(os.environ.get("MKFS", "mkfs.erofs"))
    if not mkfs:
        raise HarnessError("mkfs.erofs is not there; 'make utils' builds it")
    return mkfs


def make_versions(image, work):
    """Two versions of `image` in the folder `work`. Returns (images, list of the second one)."""
    one, two, listing = (os.path.join(work, name) for name in ("one.erofs", "two.erofs", "two.list"))
    _make([one, two, listing], [image, _mkfs()], "make-versions", [image, one, two, listing],
          "two versions of the image, with fingerprints")
    return [one, two], listing


def make_peers(image, work):
    """The tree of `image` in other file systems, in the folder `work`. Returns {filesystem: path}."""
    peers = {name: os.path.join(work, f"golden.{name}") for name in ("ext4", "squashfs")}
    _make(list(peers.values()), [image], "make-peers", [image, *peers.values()],
          "ext4 and squashfs images of the same tree")
    return peers


def make_compressed(image, work):
    """The tree of `image` compressed, in the folder `work`. Returns (image, an image that has it as a file)."""
    compressed, box = (os.path.join(work, name) for name in ("lz4.erofs", "lz4-box.erofs"))
    _make([compressed, box], [image, _mkfs(), os.path.join(HERE, "make-box")], "make-compressed",
          [image, compressed, box], "the image compressed, with fingerprints")
    return compressed, box


def make_packages(image, suite, release, packages, base=None):
    """An image of Debian packages and all that they need. Returns its path.

    release   what the release itself has, without its updates
    base      an image that this function made: make a layer above it
    `image`.packages lists the packages, as names of their files.
    """
    on = ["--on", base] if base else []
    _make([image, image + ".packages"], on[1:], "make-packages",
          [suite, "yes" if release else "no", image, *on, *packages], f"the image {os.path.basename(image)}")
    return image


def make_box(box, files):
    """An image that holds files as they are, {name without suffix: path}. Returns its path."""
    _make([box], files.values(), "make-box", [box, *(f"{name}.erofs={path}" for name, path in files.items())],
          f"the image {os.path.basename(box)} of {len(files)} others")
    return box

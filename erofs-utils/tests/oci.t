#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Layers as makers of containers write them: umoci makes three, with all that can change between
two layers, skopeo stores them in another way; the images have to hold what was packed."""
import json
import os
import shutil
import stat
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from taplib import FSCK, MKFS, Tap, Wrong, compare, must, put, snapshot  # noqa: E402

tap = Tap()
UNPACK = ["unpack"] + ([] if os.geteuid() == 0 else ["--rootless"])


def put_as(path, data, mode=0o644, time=10**9, sparse=()):
    put(path, data, sparse)
    os.chmod(path, mode)
    os.utime(path, ns=(time * 10**9 + 123456789,) * 2)


def in_seconds(tree):
    """umoci writes no fractions, and leaves out a directory that changed within the same second."""
    return {k: v[:-1] + ((v[-1] // 10**9,) if isinstance(v[-1], int) and not stat.S_ISDIR(v[0]) else ())
            for k, v in tree.items() if k != "."}


def first(top):
    """What later layers change, and names and kinds that are hard to write down."""
    for d in "kept", "gone", "emptied", "to-file", "to-link", "moved":
        put_as(f"{top}/{d}/one", d.encode())
        put_as(f"{top}/{d}/sub/two", d.encode() * 3000)
    put_as(f"{top}/to-dir", b"a file first")
    put_as(f"{top}/changed", b"1" * 50000)
    put_as(f"{top}/mode", b"x", 0o4755)
    put_as(f"{top}/time", b"x", time=-5)
    put_as(f"{top}/{'n' * 255}", b"255 bytes")
    put_as(f"{top}/{'/'.join(['d' * 200] * 15)}/deep", b"deep")
    put_as(f"{top}/name with\nnewline, \u00e4 and \\", b"odd")
    put_as(f"{top}/sparse", b"", sparse=[(5 << 20, b"end")])
    put_as(f"{top}/empty", b"")
    put_as(f"{top}/hard/a", b"one inode, three names")
    os.link(f"{top}/hard/a", f"{top}/hard/b")
    os.link(f"{top}/hard/a", f"{top}/kept/c")
    os.symlink("t" * 3000, f"{top}/long-link")
    os.symlink("kept", f"{top}/link")
    os.mkfifo(f"{top}/fifo")
    os.utime(f"{top}/fifo", (1e9, 1e9))
    if os.geteuid() == 0:
        os.mknod(f"{top}/device", 0o20600, os.makedev(300, 70000))
        os.utime(f"{top}/device", (1e9, 1e9))
        os.chown(f"{top}/changed", 3000000, 12)
    os.mkdir(f"{top}/sticky")
    os.chmod(f"{top}/sticky", 0o1777)


def second(top):
    shutil.rmtree(f"{top}/gone")
    shutil.rmtree(f"{top}/emptied")
    put_as(f"{top}/emptied/new", b"in the place of what was removed")
    shutil.rmtree(f"{top}/to-file")
    put_as(f"{top}/to-file", b"a file now")
    shutil.rmtree(f"{top}/to-link")
    os.symlink("kept", f"{top}/to-link")
    os.unlink(f"{top}/to-dir")
    put_as(f"{top}/to-dir/inside", b"a directory now")
    os.rename(f"{top}/moved", f"{top}/kept/moved")
    put_as(f"{top}/changed", b"2" * 20)
    os.chmod(f"{top}/mode", 0o600)
    os.unlink(f"{top}/hard/b")
    os.unlink(f"{top}/{'n' * 255}")
    os.unlink(f"{top}/link")
    put_as(f"{top}/link", b"no link any more")
    os.link(f"{top}/changed", f"{top}/kept/changed")


def third(top):
    put_as(f"{top}/gone/again", b"back, and nothing of the first one with it")
    os.unlink(f"{top}/emptied/new")
    os.unlink(f"{top}/to-file")
    put_as(f"{top}/to-file/one", b"a directory again")
    shutil.rmtree(f"{top}/kept/moved")
    os.unlink(f"{top}/fifo")
    put_as(f"{top}/fifo", b"a file now")
    os.unlink(f"{top}/empty")


def made():
    """The layout of three layers, and what was packed at last.  (umoci's own unpack follows the
    link to-link when it is told to hide what was in the directory before, and removes kept/one.)"""
    layout, bundle = tap.path("layout"), tap.path("bundle")
    must("umoci", "init", "--layout", layout)
    must("umoci", "new", "--image", f"{layout}:t")
    must("umoci", *UNPACK, "--image", f"{layout}:t", bundle)
    for change in first, second, third:
        change(f"{bundle}/rootfs")
        must("umoci", "repack", "--refresh-bundle", "--image", f"{layout}:t", bundle)
    return layout, in_seconds(snapshot(f"{bundle}/rootfs"))


def blob(layout, digest):
    return os.path.join(layout, "blobs", *digest.split(":"))


def of_layout(layout):
    with open(f"{layout}/index.json", encoding="utf-8") as f:
        manifest = json.load(f)["manifests"][-1]["digest"]
    with open(blob(layout, manifest), encoding="utf-8") as f:
        return [blob(layout, i["digest"]) for i in json.load(f)["layers"]], ["--ungzip"]


def of_archive(layout):
    """As "docker save" writes them: not compressed, in an archive of their own."""
    must("skopeo", "--insecure-policy", "copy", f"oci:{layout}:t", f"docker-archive:{tap.path('saved')}:t:t")
    with tarfile.open(tap.path("saved")) as t:
        t.extractall(tap.path("dir"))
    with open(tap.path("dir/manifest.json"), encoding="utf-8") as f:
        return [tap.path(f"dir/{i}") for i in json.load(f)[0]["Layers"]], []


def layers(which, *options):
    layout, want = made()
    tars, how = which(layout)
    if len(tars) != 3:
        raise Wrong(f"{len(tars)} layers, not 3")
    images = [tap.path(f"layer{n}") for n in range(3)]
    for img, tar in zip(images, tars):
        must(MKFS, "--quiet", "--tar=f", "--aufs", "-Enoinline_data", *how, *options, img, tar)
        must(FSCK, *(["--fingerprint"] if "--fingerprint" in options else []), img)
    must(MKFS, "--quiet", "--ovlfs-strip=1", *options, tap.path("img"), *images)
    devices = [f"--device={i}" for i in images]
    must(FSCK, *devices, "--extract=" + tap.path("out"), tap.path("img"))
    compare(want, in_seconds(snapshot(tap.path("out"))))


if shutil.which("umoci") and shutil.which("skopeo"):
    tap.check("umoci's layers, merged", layers, of_layout)
    tap.check("umoci's layers, merged, with fingerprints", layers, of_layout, "--fingerprint")
    tap.check("skopeo's docker-archive, merged", layers, of_archive)
else:
    tap.skip("umoci's and skopeo's layers", "the packages umoci and skopeo are not installed")
tap.done()

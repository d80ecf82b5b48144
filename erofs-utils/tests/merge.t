#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Layers and what is merged of them, beyond names and contents: root directories, owners, times, xattrs,
hard links of all kinds, and what hides files of layers further below."""
import os
import shutil
import stat
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from taplib import DUMP, FSCK, MKFS, Tap, Wrong, compare, must, must_fail, put, snapshot  # noqa: E402
from tarlib import archive, file, header, pax  # noqa: E402

tap = Tap()
DIR = {"type": b"5", "mode": 0o755}
OPAQUE, ORIGIN = "trusted.overlay.opaque", "trusted.overlay.origin"


def image(name, *parts, options=()):
    tar = tap.path(name + ".tar")
    with open(tar, "wb") as f:
        f.write(archive(*parts))
    must(MKFS, "--quiet", "--tar=f", *options, tap.path(name), tar)
    return tap.path(name)


def out(img, *devices):
    """What is in an image, on disk; with owners and xattrs, which takes root."""
    top = tap.path("out")
    shutil.rmtree(top, ignore_errors=True)
    must(FSCK, "--extract=" + top, "--preserve", "--xattrs", *[f"--device={d}" for d in devices], img)
    return lambda name="": os.path.join(top, name)


def merge(*images, options=()):
    must(MKFS, "--quiet", *options, tap.path("merged"), *images)
    return out(tap.path("merged"), *([] if "--clean=data" in options else images))


def equal(what, got, want):
    if got != want:
        raise Wrong(f"{what}: wanted {want}, got {got}")


# --- tarballs
def names_of_xattrs():
    at = out(image("img", pax([("SCHILY.xattr.user.x%3Dy", "1"), ("SCHILY.xattr.user.p%25q", "2"), ("SCHILY.xattr.user.x", "y=3"),
                               ("SCHILY.xattr.user.50%", "4")]), file("f", b"1")))
    equal("xattrs", {n: os.getxattr(at("f"), n) for n in os.listxattr(at("f"))},
          {"user.x=y": b"1", "user.p%q": b"2", "user.x": b"y=3", "user.50%": b"4"})


def link_replaces_directory():
    at = out(image("img", header("d", **DIR), file("d/f", b"contents"), header("d", type=b"1", link="d/f")))
    with open(at("d"), "rb") as f:
        equal("d", f.read(), b"contents")


def empty_value():
    at = out(image("img", pax([("SCHILY.xattr.user.empty", ""), ("SCHILY.xattr.user.full", "1")]), file("f", b"1")))
    equal("xattrs", sorted(os.listxattr(at("f"))), ["user.empty", "user.full"])


def overlay_whiteouts(strip):
    at = out(image("img", header("d", **DIR), header("d/w", type=b"3", mode=0), header("e", **DIR), header("e/w", type=b"1", link="d/w"),
                   file("e/f", b"1"), options=["--ovlfs-strip"] if strip else []))
    for d, rest in ("d", []), ("e", ["f"]):
        equal(d, sorted(os.listdir(at(d))), rest if strip else rest + ["w"])
        equal(f"{d} is marked", ORIGIN in os.listxattr(at(d)), not strip)


def origin_of_a_source(strip):
    """A directory that has an origin keeps it, once."""
    img = image("img", pax([("SCHILY.xattr." + ORIGIN, "abc")]), header("d", **DIR), header("d/w", type=b"3", mode=0),
                options=["--ovlfs-strip"] if strip else [])
    src = out(img)("")
    if not strip:
        must(MKFS, "--quiet", tap.path("img"), src)     # a directory as the source
    at = out(img)
    equal("xattrs", [(n, os.getxattr(at("d"), n)) for n in os.listxattr(at("d"))], [] if strip else [(ORIGIN, b"abc")])


def opaque_file():
    """Only directories can hide something: the xattr of others says nothing, and stays."""
    opaque = pax([("SCHILY.xattr." + OPAQUE, "y")])
    low = image("low", file("f", b"1"), header("d", **DIR), file("d/x", b"x"))
    at = merge(low, image("up", opaque, file("f", b"2"), opaque, file("d", b"3"), options=["--aufs"]))
    for name, data in ("f", b"2"), ("d", b"3"):
        with open(at(name), "rb") as f:
            equal(name, f.read(), data)
        equal(f"xattr of {name}", os.listxattr(at(name)), [OPAQUE])


def built_onto(hides, options):
    """What a layer hides stays hidden if another one is built onto it, which has a directory there."""
    low = image("low", header("d", **DIR), file("d/old", b"1"))
    up = image("up", *hides, options=["--aufs", *options])
    tar = tap.path("more.tar")
    with open(tar, "wb") as f:
        f.write(archive(header("d", **DIR), file("d/new", b"2")))
    must(MKFS, "--quiet", "--tar=f", "--aufs", "--incremental=data", *options, up, tar)
    at = merge(low, up)
    equal("d", os.listdir(at("d")), ["new"])
    equal("xattrs of d", os.listxattr(at("d")), [OPAQUE])


def whiteout_without_entry():
    """A directory that the second archive does not name keeps its xattrs, and a root its room for more."""
    up = image("up", pax([("SCHILY.xattr.user.a", "1")]), header("d", **DIR), file("d/old", b"1"),
               options=["--aufs", "--root-xattr-isize=512"])
    tar = tap.path("more.tar")
    for names in ["d/.wh..wh..opq", "d/new"], [".wh..wh..opq", "f"]:
        with open(tar, "wb") as f:
            f.write(archive(*[file(n, b"") for n in names]))
        must(MKFS, "--quiet", "--tar=f", "--aufs", "--incremental=data", up, tar)
        if names[1] == "d/new":
            at = out(up)
            equal("d", os.listdir(at("d")), ["new"])
            equal("xattrs of d", {n: os.getxattr(at("d"), n) for n in os.listxattr(at("d"))}, {"user.a": b"1", OPAQUE: b"y"})
    said = must(DUMP, "--path=/", up)
    if "Xattr size: 512" not in said:
        raise Wrong(said)


def owners_overflow():
    os.makedirs(tap.path("tree"))
    with open(tap.path("tree/f"), "wb") as f:
        f.write(b"1")
    os.chown(tap.path("tree/f"), 5, 5)
    for which in "--uid-offset", "--gid-offset":
        must_fail("larger than 32 bits", MKFS, "--quiet", f"{which}=4294967295", tap.path("img"), tap.path("tree"))
        must_fail("negative", MKFS, "--quiet", f"{which}=-6", tap.path("img"), tap.path("tree"))


def owners_moved_back():
    """A root file system leaves its user name space."""
    src = image("src", header("./", type=b"5", mode=0o755, uid=100000, gid=100000), file("f", b"1", uid=101000, gid=165535))
    at = merge(src, options=["--uid-offset=-100000", "--gid-offset=-100000"])
    for name, owner in ("", (0, 0)), ("f", (1000, 65535)):
        equal(name, tuple(os.lstat(at(name))[4:6]), owner)


# --- merging
def root(*options):
    low = image("low", header("./", type=b"5", mode=0o700, uid=7, gid=8, mtime=1000000000), file("old", b"1"))
    top = image("top", pax([("SCHILY.xattr.user.of", "the root"), ("mtime", "1100000000.25")]),
                header("./", type=b"5", mode=0o750, uid=17, gid=18), file("new", b"2"))
    at = merge(low, top, options=options)
    st = os.lstat(at())
    equal("root", (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns), (0o750, 17, 18, 1100000000250000000))
    equal("xattrs of the root", os.listxattr(at()), ["user.of"])
    equal("names", sorted(os.listdir(at())), ["new", "old"])


def owners_and_times(*options):
    src = image("src", header("d", type=b"5", mode=0o755, uid=1), file("d/f", b"1" * 5000, uid=2, gid=3), file("d/g", uid=2),
                header("h", type=b"1", link="d/f"))
    at = merge(src, options=["--uid-offset=1000", "--force-gid=5", "-T1234567890", *options])
    for name, uid in (("d", 1001), ("d/f", 1002), ("d/g", 1002), ("h", 1002)):
        st = os.lstat(at(name))
        equal(name, (st.st_uid, st.st_gid, st.st_mtime), (uid, 5, 1234567890))


def hard_links():
    kinds = {"s": header("s", type=b"2", link="target"), "p": header("p", type=b"6"), "c": header("c", type=b"3", major=1, minor=3),
             "f": file("f", b"1")}
    at = merge(image("src", header("d", **DIR), *kinds.values(), *[header("d/" + k, type=b"1", link=k) for k in kinds]))
    for k in kinds:
        a, b = os.lstat(at(k)), os.lstat(at("d/" + k))
        equal(k, (a.st_nlink, a.st_ino), (2, b.st_ino))


def hidden(name, *middle):
    """Two of three layers are merged, and what they hide of the third has to stay hidden: d is opaque."""
    mid = image("mid", *middle, options=["--aufs"])
    top = image("top", header("d", **DIR), file("d/new", b"2"), options=["--aufs"])
    at = merge(mid, top)
    equal("d is opaque", OPAQUE in os.listxattr(at("d")), True)
    at = merge(mid, top, options=["--ovlfs-strip"])
    equal("d is opaque", OPAQUE in os.listxattr(at("d")), False)
    equal("names", "new" in os.listdir(at("d")), True)


def equal_files():
    """Ends of files are beside their inodes, and the last file of an image has nothing behind its blocks."""
    data = os.urandom(9000)
    # what is merged in a later second than it was made in has larger inodes, so let that not be chance
    one, two = (image(name, *files, options=("-T1",)) for name, files in
                (("one", [file("a", data)]), ("two", [file("b", data), file("c", data[:8999] + bytes([data[8999] ^ 1]))])))
    at = merge(one, two, options=["--clean=data", "--dedupe-files", "--fingerprint"])
    must(FSCK, "--fingerprint", tap.path("merged"))
    for name in "a", "b":
        with open(at(name), "rb") as f:
            equal(name, f.read() == data, True)
    once = os.path.getsize(tap.path("merged"))
    merge(one, two, options=["--clean=data", "--fingerprint"])
    equal("blocks that are saved", os.path.getsize(tap.path("merged")) - once, 8192)


def no_blocks(option, *options):
    """Small files, symlinks and directories of an image with 48 bits, and a file that is one hole."""
    put(tap.path("dir/d/e/f"), b"f")
    put(tap.path("dir/large"), b"l" * 10000)
    put(tap.path("dir/hole"), b"")
    os.truncate(tap.path("dir/hole"), 100000)
    os.symlink("f", tap.path("dir/d/e/link"))
    must(MKFS, "--quiet", option, tap.path("src"), tap.path("dir"))
    must(MKFS, "--quiet", *options, tap.path("new"), tap.path("src"))
    device = [] if "--clean=data" in options else ["--device=" + tap.path("src")]
    check = ["--fingerprint"] if "--fingerprint" in options else []
    must(FSCK, *device, *check, "--extract=" + tap.path("out"), tap.path("new"))
    compare(snapshot(tap.path("dir")), snapshot(tap.path("out")))


def many_layers(count):
    layers = [image(f"layer{n}", file(f"f{n}", b"%d" % n * 3000)) for n in range(count)]
    must(MKFS, "--quiet", "--fingerprint", tap.path("new"), *layers)
    devices = ["--device=" + layer for layer in layers]
    must(FSCK, *devices, "--fingerprint", "--extract=" + tap.path("out"), tap.path("new"))
    if len(os.listdir(tap.path("out"))) != count:
        raise Wrong("files are missing")
    must(DUMP, *devices, "--sharing", tap.path("new"))


def can(probe, *args, **kw):
    path = tap.path("probe")
    try:
        with open(path, "wb"):
            pass
        probe(path, *args, **kw)
    except OSError:
        return False
    return True


def modes_without_data():
    src, base = [image(name, header("./", **DIR), file(name, b"1")) for name in ("src", "base")]
    must_fail("images as sources", MKFS, "--quiet", "--clean=0", tap.path("img"), src)
    must_fail("images as sources", MKFS, "--quiet", "--incremental=0", base, src)


if os.getuid() or not can(os.setxattr, OPAQUE, b"y") or not can(os.setxattr, "user.probe", b""):
    tap.skip("all", "only root can look at owners and at trusted.* xattrs, and some file systems have none")
    tap.done()
tap.check("names of xattrs with '=' and '%'", names_of_xattrs)
tap.check("fsck.erofs extracts an xattr without a value, and those behind it", empty_value)
tap.check("a hard link to a file in the directory that it replaces", link_replaces_directory)
tap.check("whiteouts of overlayfs", overlay_whiteouts, False)
tap.check("whiteouts of overlayfs, stripped", overlay_whiteouts, True)
tap.check("files that are marked opaque", opaque_file)
for options in [], ["-Enoinline_data", "-E48bit"]:
    for what, hides in (("a whiteout", [file(".wh.d", b"")]), ("a file", [file("d", b"3")]),
                        ("an opaque directory", [header("d", **DIR), file("d/.wh..wh..opq", b"")])):
        tap.check(f"a layer that is built onto one with {what} {' '.join(options)}", built_onto, hides, options)
tap.check("whiteouts in directories that no entry names", whiteout_without_entry)
tap.check("an origin that is there already", origin_of_a_source, False)
tap.check("an origin that is there already, stripped", origin_of_a_source, True)
tap.check("owners that overflow", owners_overflow)
tap.check("owners that are moved back", owners_moved_back)
tap.check("modes that images cannot be sources of", modes_without_data)
for o in [], ["--clean=data"], ["--clean=data", "-Eforce-inode-extended"]:
    tap.check(f"the root directory is that of the uppermost layer {' '.join(o)}", root, *o)
    tap.check(f"options for owners and times {' '.join(o)}", owners_and_times, *o)
tap.check("hard links of all kinds", hard_links)
tap.check("an opaque directory in a middle layer", hidden, "d", header("d", **DIR), file("d/.wh..wh..opq"), file("d/mid", b"1"))
tap.check("a whiteout in a middle layer", hidden, "d", file(".wh.d"))
tap.check("a file in a middle layer", hidden, "d", file("d", b"1"))
tap.check("equal files with inline tails, copied", equal_files)
tap.check("300 layers", many_layers, 300)
for option in "-E48bit", "-Edot-omitted", "-m4096":
    for o in ("--fingerprint",), ("--clean=data", "--fingerprint"), ("--clean=data", "-E48bit"):
        tap.check(f"what has no blocks: {option}, {' '.join(o)}", no_blocks, option, *o)
tap.done()

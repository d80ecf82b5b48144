#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Incremental builds: what the base has stays as it is, what is added comes out again, and whatever
fails or is refused leaves the base as it was."""
import os
import re
import shutil
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from imagelib import SB, Image  # noqa: E402
from taplib import DUMP, FSCK, MKFS, Tap, Wrong, compare, get, must, must_fail, put, run, snapshot  # noqa: E402
from tarlib import archive, file  # noqa: E402

tap = Tap()
SKIPPED = "this file system has no xattrs"


def put_old(path, data):
    put(path, data)
    os.utime(path, (1600000000, 1600000000))


def trees():
    """A base and an addition with a common directory; ends of files that become fragments."""
    for n in range(3):
        put_old(tap.path(f"base/a{n}"), os.urandom(9000))
        put_old(tap.path(f"base/common/sub/b{n}"), b"text %d " % n * 3000)
        put_old(tap.path(f"more/c{n}"), os.urandom(9100))
        put_old(tap.path(f"more/common/d{n}"), b"more %d " % n * 3000)


def both(times=False):
    """What has to be in the image, without directories, whose times are those of either."""
    want = {}
    for top in "base", "more":
        want |= {k: v for k, v in snapshot(tap.path(top), times).items() if os.path.isfile(tap.path(f"{top}/{k}"))}
    return want


def extracted(*options, times=False):
    shutil.rmtree(tap.path("out"), ignore_errors=True)
    must(FSCK, "--extract=" + tap.path("out"), *options, tap.path("img"))
    return {k: v for k, v in snapshot(tap.path("out"), times).items() if os.path.isfile(tap.path("out/" + k))}


def added(first, second):
    trees()
    img = tap.path("img")
    must(MKFS, "--quiet", *first, img, tap.path("base"))
    must(MKFS, "--quiet", "--incremental=data", *second, img, tap.path("more"))
    must(FSCK, img)
    compare(both(), extracted())
    if "--fingerprint" in first:
        must(FSCK, "--fingerprint", img)


for first, second in (("", ""), ("-zlz4", "-zlz4"), ("-zlz4", ""), ("", "-zlz4"),
                      ("-zlz4 -Efragments", ""), ("-zlz4 -Efragments", "-zlz4"), ("-zlz4 -Efragments", "-zlz4 -Efragments"),
                      ("-zlz4 -Eall-fragments", "-zlz4 -Eall-fragments"), ("-zlz4 -Efragments,dedupe", "-zlz4 -Efragments,dedupe"),
                      ("-zlz4 -Efragments --fingerprint", "-zlz4 -Efragments"), ("-zlz4 -Efragments --fingerprint", "-zlz4"),
                      ("-zlz4 -Eall-fragments --xattr-prefix=user.a", "--xattr-prefix=user.b"),
                      ("-zlz4 -Eall-fragments", "--xattr-prefix=user.long"),
                      ("--chunksize=4096", "--chunksize=4096"), ("--dax", "--dax"), ("-E48bit -zlz4", "-zlz4")):
    tap.check(f"[{first}] and then [{second}]", added, first.split(), second.split())


def refused(regex, first, second, source="more", xattr=None):
    trees()
    if xattr:
        os.setxattr(tap.path("more"), "user.x", xattr)
    img = tap.path("img")
    for n, data in (1, b"one"), (2, b"two" * 999):
        put_old(tap.path(f"tar{n}"), archive(file(f"f{n}", data)))
    must(MKFS, "--quiet", *first, img, tap.path("tar1") if "--tar=i" in first else tap.path("base"))
    before = open(img, "rb").read()
    blob = os.path.exists(tap.path("blob")) and open(tap.path("blob"), "rb").read()
    rc, said = run(MKFS, "--quiet", "--incremental=data", *second, img, tap.path(source))
    if rc != 1 or regex not in said:
        raise Wrong(f"exit status {rc}, wanted an error with {regex!r}\n{said}")
    if open(img, "rb").read() != before or blob and open(tap.path("blob"), "rb").read() != blob:
        raise Wrong("the base has changed")


tap.check("larger pclusters than the superblock tells of", refused, "no compressed files", [], ["-zlz4", "-C65536"])
tap.check("a compressor that the superblock doesn't tell of", refused, "no compressed files", [], ["-zdeflate"])
blob = ["--chunksize=4096", "--blobdev=" + tap.path("blob")]
tap.check("a larger window of LZMA, by -C", refused, "say dictsize=32768", ["-zlzma"], ["-zlzma", "-C1048576"])
tap.check("a larger window of zstd", refused, "say dictsize=32768", ["-zzstd,dictsize=32768"], ["-zzstd,dictsize=65536"])
tap.check("a blob for a base that has none", refused, "leave --blobdev out", [], blob)
tap.check("xattrs that the root of the base has no room for", refused, "make the base with --root-xattr-isize=", ["--root-xattr-isize=64"],
          [], xattr=b"x" * 200)
# new chunks were said to be on the first device, and the table of devices was lost
for second in [], blob, ["--chunksize=4096"], ["-Ededupe"]:
    tap.check(f"a base that has a blob, and then {second[:1]}", refused, "make another image like it", blob, second)
tap.check("the index of another tarball", refused, "make another image like it", ["--tar=i"], ["--tar=i"], "tar2")
tap.check("files for the index of a tarball", refused, "make another image like it", ["--tar=i"], ["--tar=f"], "tar2")


def times():
    """The base is from 2017, as compact inodes have it; now is another time."""
    trees()
    for top, dirs, files in os.walk(tap.path("base")):
        for name in files:
            os.utime(os.path.join(top, name), (1500000000, 1500000000))
    must(MKFS, "--quiet", "-T1500000000", "--mkfs-time", tap.path("img"), tap.path("base"))
    must(MKFS, "--quiet", "--incremental=data", tap.path("img"), tap.path("more"))
    compare(both(times=True), extracted(times=True))


tap.check("times of the base stay", times)


def xattrs():
    trees()
    for n in range(3):
        os.setxattr(tap.path(f"base/a{n}"), "user.base", b"shared by the files of the base")
        os.setxattr(tap.path(f"more/c{n}"), "user.more", b"shared by other files")
    must(MKFS, "--quiet", "-x0", tap.path("img"), tap.path("base"))
    must(MKFS, "--quiet", "-x0", "--incremental=data", tap.path("img"), tap.path("more"))
    must(FSCK, "--xattrs", "--extract=" + tap.path("out"), tap.path("img"))
    for name, want in ("a0", "user.base"), ("a2", "user.base"), ("c0", "user.more"), ("c2", "user.more"):
        got = os.listxattr(tap.path("out/" + name))
        if got != [want]:
            raise Wrong(f"{name}: wanted {want}, got {got}")


def has_xattrs():
    path = tap.path("probe")
    try:
        put_old(path, b"")
        os.setxattr(path, "user.probe", b"")
    except OSError:
        return False
    return True


if has_xattrs():
    tap.check("shared xattrs of the base stay", xattrs)
else:
    tap.skip("shared xattrs of the base stay", SKIPPED)


def full():
    """There is room for more and more of what is added; as long as it isn't enough, nothing changes."""
    for n in range(20):
        put_old(tap.path(f"base/s/d1/e/f{n}"), os.urandom(3000))
        put_old(tap.path(f"more/s/new/f{n}"), os.urandom(9000))
    img = tap.path("img")
    must(MKFS, "--quiet", img, tap.path("base"))
    with open(img, "rb") as f:
        before = f.read()
    failed = 0
    for limit in range(len(before), len(before) + 300000, 23456):
        shutil.copyfile(img, tap.path("copy"))
        rc, said = run(MKFS, "--quiet", "--incremental=data", tap.path("copy"), tap.path("more"), fsize=limit)
        if rc == 0:
            continue
        failed += 1
        with open(tap.path("copy"), "rb") as f:
            if rc != 1 or f.read() != before:
                raise Wrong(f"{limit}: exit status {rc}, and the base has changed\n{said}")
    if failed < 5:
        raise Wrong(f"only {failed} runs had no room")


tap.check("no room for what is to be added", full)


def no_alignment():
    """There is room for what is added, but not up to the boundary."""
    trees()
    img = tap.path("img")
    must(MKFS, "--quiet", img, tap.path("base"))
    before = get(img)
    rc, said = run(MKFS, "--quiet", "--incremental=data", "--fsalignblks=65536", img, tap.path("more"), fsize=100 << 20)
    if rc != 1 or "too large" not in said or get(img) != before:
        raise Wrong(f"exit status {rc}, or the base has changed\n{said}")


tap.check("no room for --fsalignblks", no_alignment)


def one_of_two():
    """".." of two directories has to be changed, which can't be for the second one."""
    for name in "b/1/f", "b/2/f":
        put_old(tap.path("base/" + name), b"x")
    put_old(tap.path("more/b/new"), b"y")
    must(MKFS, "--quiet", "-Eforce-inode-extended", tap.path("img"), tap.path("base"))
    for broken in "1", "2":
        im = Image(tap.path("img"))
        im.data[im.data.index(b"...f", im.inode(f"b/{broken}").end) + 1] = ord("x")
        im.save(tap.path("bad"))
        must_fail("not found|corrupted", MKFS, "--quiet", "--incremental=data", tap.path("bad"), tap.path("more"))
        with open(tap.path("bad"), "rb") as f:
            if f.read() != im.data:
                raise Wrong(f"b/{broken} is broken, and the base has changed")


tap.check("a base image of which only some can be changed", one_of_two)


def compressed_root():
    """The root of the base is where the superblock can name it, and what is added is behind that."""
    for n in range(300):
        put(tap.path(f"base/a-name-that-takes-some-room-{n}"), b"")
    put(tap.path("base/large"), os.urandom(3 << 20))
    put(tap.path("more/file"), b"more")
    must(MKFS, "--quiet", "-zlz4", "--zD", tap.path("img"), tap.path("base"))
    before = get(tap.path("img"))
    must("tar", "-C", tap.path("more"), "-cf", tap.path("tar"), "file")
    must_fail("root directory of the base image is compressed", MKFS, "--quiet", "--incremental=data", "--tar=f", "-zlz4",
              tap.path("img"), tap.path("tar"))
    if get(tap.path("img")) != before:
        raise Wrong("the base has changed")


tap.check("a base image with a compressed root directory", compressed_root)


def slots():
    """A superblock which says that it's larger than any: what stands there is not of mkfs.erofs's stack."""
    trees()
    must(MKFS, "--quiet", tap.path("img"), tap.path("base"))
    im = Image(tap.path("img"))
    im.data[SB + 13] = 0x82
    im.save()
    before = im.data[SB + 144:SB + 128 + 0x82 * 16]
    must(MKFS, "--quiet", "--incremental=data", tap.path("img"), tap.path("more"))
    if Image(tap.path("img")).data[SB + 144:SB + 128 + 0x82 * 16] != before:
        raise Wrong("what is behind the superblock has changed")
    compare(both(), extracted())


tap.check("a base image with more slots than are known", slots)


def unnamed():
    """Tarballs that name files alone leave the directories of the base as they are, and find room for the root."""
    base = (file("./", mode=0o700, uid=5, gid=6, type=b"5"), file("d/", mode=0o710, uid=7, gid=8, type=b"5"), file("d/a", b"a" * 3000000))
    put(tap.path("base.tar"), archive(*base))
    put(tap.path("more.tar"), archive(file("d/b", b"b"), file("new/c", b"c")))
    img = tap.path("img")
    must(MKFS, "--quiet", "--tar=f", "-Enoinline_data", "-T1", img, tap.path("base.tar"))
    for time in "2", "3":
        must("env", "SOURCE_DATE_EPOCH=" + time, MKFS, "--quiet", "--tar=f", "-Enoinline_data", "--incremental=data", img, tap.path("more.tar"))
    must(FSCK, img)
    for path, want in ("/", "Uid: 5 +Gid: 6 +Access: 0700"), ("/d", "Uid: 7 +Gid: 8 +Access: 0710"):
        said = must(DUMP, "--path=" + path, img)
        if not re.search(want, said):
            raise Wrong(said)


tap.check("directories that no entry names", unnamed)


def boot_sector(*options):
    """What a boot loader has in front of the superblock."""
    trees()
    img, loader = tap.path("img"), os.urandom(1024)
    must(MKFS, "--quiet", *options, img, tap.path("base"))
    with open(img, "r+b") as f:
        f.write(loader)
    must(MKFS, "--quiet", "--incremental=data", img, tap.path("more"))
    must(FSCK, img)
    if get(img)[:1024] != loader:
        raise Wrong("the boot sector has been overwritten")
    compare(both(), extracted())


def behind_offset():
    """With --offset an image needs as many blocks as without."""
    trees()
    blocks = []
    for offset in "0", "8388608":
        img = tap.path("at" + offset)
        must(MKFS, "--quiet", "--offset=" + offset, img, tap.path("base"))
        for _ in range(2):
            must(MKFS, "--quiet", "--incremental=data", "--offset=" + offset, img, tap.path("more"))
        must(FSCK, "--offset=" + offset, img)
        blocks.append(re.search(r"blocks: +(\d+)", must(DUMP, "--offset=" + offset, img))[1])
    if blocks[0] != blocks[1]:
        raise Wrong(f"{blocks[1]} blocks, not {blocks[0]}")


for args in (), ("-b512",), ("-Enosbcrc",):
    tap.check("the boot sector of a base: " + " ".join(args), boot_sector, *args)
tap.check("blocks of a base behind --offset", behind_offset)
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Broken images, full disks, files that change: the tools end, with one clear error."""
import os
import re
import resource
import signal
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from taplib import DUMP, FSCK, MKFS, Tap, Wrong, must, must_fail, run  # noqa: E402

tap = Tap()


def put(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


# --- no space: a limit of the file's size has the same effects, and needs no disk of its own
def limited(limit, *options):
    for n in range(40):
        put(tap.path(f"tree/d{n % 4}/f{n}"), os.urandom(20000) + b"text " * 4000)

    def lower():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    try:
        p = subprocess.run([MKFS, "--quiet", *options, tap.path("img"), tap.path("tree")], preexec_fn=lower,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    except subprocess.TimeoutExpired:
        raise Wrong("mkfs does not end") from None
    said = p.stdout.decode(errors="replace")
    if p.returncode != 1 or not re.search("File too large|Input/output error", said) or os.path.exists(tap.path("img")):
        raise Wrong(f"exit status {p.returncode}\n{said}")


for limit in (4096, 65536, 600000):
    for options in ((), ("-zlz4",), ("-zlz4", "-Efragments"), ("-zlz4", "--workers=0"), ("--async-queue-limit=2",)):
        tap.check(f"no room for more than {limit} bytes {' '.join(options)}", limited, limit, *options)


# --- images whose fields lie; the inode of the root is found by its number in the superblock
def image(*options):
    img = tap.path("img")
    os.makedirs(tap.path("tree/d/e"))
    put(tap.path("tree/file"), b"x" * 10000)
    os.symlink("target", tap.path("tree/link"))
    must(MKFS, "--quiet", "-T0", "-Eforce-inode-extended", *options, img, tap.path("tree"))
    with open(img, "rb") as f:
        return bytearray(f.read())


class Image:
    """Just enough of the format: where the inode and the entries of a directory are."""

    def __init__(self, data):
        self.data = data
        self.block = 1 << data[1024 + 12]
        self.meta = struct.unpack_from("<I", data, 1024 + 40)[0] * self.block
        self.root = struct.unpack_from("<H", data, 1024 + 14)[0]

    def inode(self, nid):
        return self.meta + nid * 32

    def entries(self, nid):
        """Name to (position of the entry, nid); directories are inline here."""
        at = self.inode(nid) + 64
        size = struct.unpack_from("<Q", self.data, self.inode(nid) + 8)[0]
        count = struct.unpack_from("<H", self.data, at + 8)[0] // 12
        offsets = [struct.unpack_from("<H", self.data, at + 12 * i + 8)[0] for i in range(count)] + [size]
        return {bytes(self.data[at + offsets[i]:at + offsets[i + 1]]).decode():
                (at + 12 * i, struct.unpack_from("<Q", self.data, at + 12 * i)[0]) for i in range(count)}


def lie(change, regex, dump=True):
    data = image()
    im = Image(data)
    change(im)
    # The checksum is a compatible feature: switched off, it is not looked at.
    struct.pack_into("<I", data, 1024 + 8, struct.unpack_from("<I", data, 1024 + 8)[0] & ~1)
    put(tap.path("bad"), data)
    must_fail(regex, FSCK, tap.path("bad"), timeout=30)
    must_fail(regex, FSCK, "--extract=" + tap.path("out"), tap.path("bad"), timeout=30)
    for args in ([["-sS"], ["--path=/nothing", "--ls"], ["--nid=999999"], ["-e", "--path=/file"]] if dump else []):
        rc, said = run(DUMP, *args, tap.path("bad"), timeout=30)
        if rc > 1:
            raise Wrong(f"dump {args}: exit status {rc}\n{said}")


def size_of(name, size):
    return lambda im: struct.pack_into("<Q", im.data, im.inode(im.entries(im.root)[name][1]) + 8, size)


def blkaddr_of(name, blk):
    return lambda im: struct.pack_into("<I", im.data, im.inode(im.entries(im.root)[name][1]) + 16, blk)


def hole_of(name):
    """One chunk of 2^43 bytes, which is a hole, and a size that lies in it."""
    def change(im):
        at = im.inode(im.entries(im.root)[name][1])
        struct.pack_into("<H", im.data, at, (struct.unpack_from("<H", im.data, at)[0] & ~0xe) | 4 << 1)
        struct.pack_into("<Q", im.data, at + 8, 1 << 40)
        struct.pack_into("<I", im.data, at + 16, 31)
        im.data[at + 64:at + 68] = b"\xff" * 4
    return change


def first_nameoff(value):
    return lambda im: struct.pack_into("<H", im.data, im.inode(im.root) + 64 + 8, value)


def last_nameoff(im):
    struct.pack_into("<H", im.data, list(im.entries(im.root).values())[-1][0] + 8, 4000)


def loop(im):
    struct.pack_into("<Q", im.data, im.entries(im.entries(im.root)["d"][1])["e"][0], im.entries(im.root)["d"][1])


def twice(im):
    """Two names of one directory, in the same parent so that its '..' fits."""
    e = im.entries(im.root)
    struct.pack_into("<Q", im.data, e["file"][0], e["d"][1])
    im.data[e["file"][0] + 10] = 2


BEHIND = "behind its end"
tap.check("symlink of 2^64-1 bytes", lie, size_of("link", (1 << 64) - 1), "invalid i_size")
tap.check("symlink of 2^40 bytes", lie, size_of("link", 1 << 40), "symlink|behind|across blocks|larger|inline")
tap.check("file of 2^63 bytes", lie, size_of("file", 1 << 63), "invalid i_size")
tap.check("file of 32 TiB", lie, size_of("file", 32 << 40), BEHIND)
tap.check("file at block 2^32-2", lie, blkaddr_of("file", 0xfffffffe), BEHIND)
tap.check("directory of 2^40 bytes", lie, size_of("d", 1 << 40), "behind|nameoff|across blocks")
tap.check("first name behind the directory", lie, first_nameoff(4080), "nameoff")
tap.check("first name in an entry", lie, first_nameoff(14), "nameoff")
tap.check("last name behind the directory", lie, last_nameoff, "namelen|nameoff")
tap.check("directory in itself", lie, loop, "there twice|dirent")
tap.check("directory with two names", lie, twice, "there twice")


def name(new):
    """Instead of "file"."""
    def change(im):
        at = im.entries(im.root)["file"][0]
        data = bytes(im.data)
        i = data.index(b"filelink", at)
        im.data[i:i + 4] = new
    return change


for new in b"../x", b"../.", b"a/b/", b"f\0le":
    tap.check(f"name {new!r}", lie, name(new), "illegal filename|name order")


# --- sources of another image
def source(change, regex, *options):
    """mkfs.erofs refuses to take over what is not there."""
    im = Image(image(*options))
    change(im)
    struct.pack_into("<I", im.data, 1024 + 8, struct.unpack_from("<I", im.data, 1024 + 8)[0] & ~1)
    put(tap.path("bad"), im.data)
    must_fail(regex, MKFS, "--quiet", tap.path("out"), tap.path("bad"), timeout=30)
    if os.path.exists(tap.path("out")):
        raise Wrong("there is an output file")


CHUNKS = "--chunksize=4096"
tap.check("source: symlink of 2^40 bytes", source, size_of("link", 1 << 40), "too long|behind|across blocks")
tap.check("source: symlink of 2^40 bytes in a hole", source, hole_of("link"), "too long")
tap.check("source: file of 2^40 bytes", source, size_of("file", 1 << 40), BEHIND, "-Enoinline_data")
tap.check("source: file of 2^40 bytes with a tail", source, size_of("file", (1 << 40) + 100), BEHIND)
tap.check("source: file at block 2^32-2", source, blkaddr_of("file", 0xfffffffe), BEHIND, "-Enoinline_data")
tap.check("source: 2^32 chunks", source, size_of("file", 1 << 44), "too many", CHUNKS)
tap.check("source: 2^30 chunks", source, size_of("file", 1 << 42), "too many", CHUNKS)
tap.check("source: 2^20 chunks", source, size_of("file", 1 << 32), BEHIND, CHUNKS)
for new in b"../x", b"../.", b"a/b/", b"f\0le":
    tap.check(f"source: name {new!r}", source, name(new), "illegal filename|name order")


# --- depth
def deep(*options):
    path = tap.path("tree")
    os.mkdir(path)
    fd = os.open(path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        new = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = new
    os.close(fd)
    must(MKFS, "--quiet", *options, tap.path("img"), path)
    before = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (4 << 20, before[1]))
    try:
        must(FSCK, tap.path("img"))
        must(DUMP, "-S", tap.path("img"))
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, before)


tap.check("1500 directories in each other", deep)
tap.check("1500 directories in each other, blocks of 64 KiB", deep, "-b65536")


# --- compressed tails: what is said to be wrong must not be read, either
def tail_too_long():
    put(tap.path("tree/f"), "".join(f"{i}\n" for i in range(1, 3001)).encode())
    put(tap.path("tree/z"), os.urandom(30000))
    must(MKFS, "--quiet", "-T0", "-Enosbcrc", "-zdeflate,1", "-Eztailpacking,legacy-compress", tap.path("img"), tap.path("tree"))
    with open(tap.path("img"), "r+b") as f:
        data = f.read()
        # the map's header: le16 0, le16 size of the tail, le16 with 8 for a tail in the inode, DEFLATE
        found = [at for at in range(1152, len(data) - 8, 8)
                 if data[at:at + 2] == b"\0\0" and data[at + 4] & 8 and data[at + 6:at + 8] == b"\2\0"]
        if len(found) != 1:
            raise Wrong(f"{len(found)} headers found, not 1")
        f.seek(found[0] + 2)
        f.write(struct.pack("<H", 5000))
    must_fail("invalid tail-packing pclustersize 5000", FSCK, "--extract=" + tap.path("out"), tap.path("img"))


tap.check("fsck: the tail of a compressed file leaves its block", tail_too_long)


# --- sparse files
def sparse(where, size, *options):
    os.mkdir(tap.path("tree"))
    with open(tap.path("tree/f"), "wb") as f:
        f.truncate(size)
        f.seek(where)
        f.write(b"data")
    must(MKFS, "--quiet", *options, tap.path("img"), tap.path("tree"))
    must(FSCK, "--extract=" + tap.path("out"), tap.path("img"))
    with open(tap.path("out/f"), "rb") as f:
        f.seek(where)
        if f.read(5)[:4] != b"data" or os.fstat(f.fileno()).st_size != size:
            raise Wrong("wrong contents or size")


tap.check("a file that ends with a hole", sparse, 5, 5 << 20, "--chunksize=65536")
tap.check("a hole of 3 GiB", sparse, 3 << 30, (3 << 30) + 4, "--chunksize=1048576")
tap.done()

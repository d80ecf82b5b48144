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
from imagelib import CHUNK, Image  # noqa: E402
from taplib import DUMP, FSCK, MKFS, Tap, Wrong, must, must_fail, put, run  # noqa: E402

tap = Tap()


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
    if p.returncode != 1 or "File too large" not in said or os.path.exists(tap.path("img")) or said.count("\n") > 10:
        raise Wrong(f"exit status {p.returncode}\n{said}")


for limit in (4096, 65536, 600000):
    for options in ((), ("-zlz4",), ("-zlz4", "-Efragments"), ("-zlz4", "--workers=0"), ("--async-queue-limit=2",), ("--fingerprint",), ("-zlz4", "-Eall-fragments")):
        tap.check(f"no room for more than {limit} bytes {' '.join(options)}", limited, limit, *options)


# --- files that can't be read
def unreadable(name, *options):
    put(tap.path("tree/d/file"), b"x" * 10000)
    os.chmod(tap.path("tree/d/file"), 0)
    os.chmod(tap.path("tree/d"), 0o755 if name == "file" else 0o444)
    os.chmod(tap.scratch, 0o777)
    p = subprocess.run([MKFS, "--quiet", *options, tap.path("img"), tap.path("tree")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       preexec_fn=lambda: None if os.geteuid() else os.setuid(65534), timeout=60)
    os.chmod(tap.path("tree/d"), 0o755)
    if p.returncode != 1 or b"/tree/d/file: [Error 13] Permission denied" not in p.stdout:
        raise Wrong(f"exit status {p.returncode}\n{p.stdout.decode()}")


for name, *options in ("file",), ("file", "--fingerprint"), ("file", "-zlz4"), ("directory",), ("directory", "-x-1"):
    tap.check(f"what can't be read is named: {name} {' '.join(options)}", unreadable, name, *options)


# --- images whose fields lie; the inode of the root is found by its number in the superblock
def image(*options):
    img = tap.path("img")
    os.makedirs(tap.path("tree/d/e"))
    put(tap.path("tree/file"), b"x" * 10000)
    os.symlink("target", tap.path("tree/link"))
    must(MKFS, "--quiet", "-T0", "-Eforce-inode-extended", *options, img, tap.path("tree"))
    return Image(img)


def lie(change, regex, dump=True):
    im = image()
    change(im)
    im.save(tap.path("bad"))
    must_fail(regex, FSCK, tap.path("bad"), timeout=30)
    must_fail(regex, FSCK, "--extract=" + tap.path("out"), tap.path("bad"), timeout=30)
    for args in ([["-sS"], ["--path=/nothing", "--ls"], ["--nid=999999"], ["-e", "--path=/file"]] if dump else []):
        rc, said = run(DUMP, *args, tap.path("bad"), timeout=30)
        if rc > 1:
            raise Wrong(f"dump {args}: exit status {rc}\n{said}")


def size_of(name, size):
    return lambda im: im.put("Q", im.inode(name).size_at, size)


def blkaddr_of(name, blk):
    return lambda im: im.put("I", im.inode(name).u_at, blk)


def hole_of(name):
    """One chunk of 2^43 bytes, which is a hole, and a size that lies in it."""
    def change(im):
        inode = im.inode(name)
        im.set_layout(inode, CHUNK)
        im.put("Q", inode.size_at, 1 << 40)
        im.put("I", inode.u_at, 31)
        im.write(inode.end, b"\xff" * 4)
    return change


def first_nameoff(value):
    return lambda im: im.put("H", im.inode("").end + 8, value)


def last_nameoff(im):
    im.put("H", im.entries(im.inode("").nid)[-1][2] + 8, 4000)


def loop(im):
    im.put("Q", im.entry("d/e")[0], im.entry("d")[1])


def twice(im):
    """Two names of one directory, in the same parent so that its '..' fits."""
    at = im.entry("file")[0]
    im.put("Q", at, im.entry("d")[1])
    im.data[at + 10] = 2


def bad_type(im):
    im.data[im.entry("file")[0] + 10] = 0xa6


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
tap.check("a file of no type", lie, bad_type, "invalid file type @")
tap.check("directory in itself", lie, loop, "there twice|dirent")
tap.check("directory with two names", lie, twice, "there twice")


def name(new):
    """Instead of "file"."""
    def change(im):
        im.write(im.data.index(b"filelink", im.entry("file")[0]), new)
    return change


for new in b"../x", b"../.", b"a/b/", b"f\0le":
    tap.check(f"name {new!r}", lie, name(new), "illegal filename|name order")


# --- sources of another image
def source(change, regex, *options):
    """mkfs.erofs refuses to take over what is not there."""
    im = image(*options)
    change(im)
    im.save(tap.path("bad"))
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

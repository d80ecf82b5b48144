#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tar archives, built byte by byte: contents are what GNU tar extracts, or there is one clear
error and no output file."""
import bz2
import gzip
import lzma
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import time
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from taplib import DUMP, FSCK, MKFS, Tap, Wrong, compare, get, must, must_fail, run, snapshot  # noqa: E402
from tarlib import archive, base256, file, header, longname, pad, pax  # noqa: E402

tap = Tap()
MIB = 1 << 20
DIR = {"type": b"5", "mode": 0o755}


def write(name, data):
    path = tap.path(name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def extract(tar, *options):
    img, out = tap.path("img"), tap.path("out")
    must(MKFS, "--quiet", "--tar=f", *options, img, tar)
    must(FSCK, "--extract=" + out, img)
    return snapshot(out)


def named(tree, parts):
    """Without the directories that no entry names: their times are nobody's."""
    dirs = {p[:100].rstrip(b"\0").decode().strip("/") for p in parts if p[156:157] in (b"5", b"D") or b"/\0" in p[:100]}
    return {k: v for k, v in tree.items() if v[0] != stat.S_IFDIR or k in dirs}


def same_as_gnu_tar(*parts, options=()):
    """Every name, mode, time and byte is what GNU tar makes of the archive."""
    tar, want = write("tar", archive(*parts)), tap.path("want")
    os.mkdir(want)
    p = subprocess.run(["tar", "-C", want, "--numeric-owner", "-xpf", tar], stderr=subprocess.PIPE)
    if p.returncode:
        raise Wrong("tar itself fails: " + p.stderr.decode())
    compare(named(snapshot(want), parts), named(extract(tar, *options), parts))


def is_tree(want, *parts, options=()):
    """For what GNU tar refuses: names to contents, None for a directory, (major, minor)."""
    got = extract(write("tar", archive(*parts)), *options)
    short = {}
    for name, what in got.items():
        path = os.path.join(tap.path("out"), name)
        if what[0] == stat.S_IFDIR:
            short[name] = None
        elif what[0] == stat.S_IFREG:
            with open(path, "rb") as f:
                short[name] = f.read()
        else:
            short[name] = what[2]
    del short["."]
    compare(want, short)


def refused(regex, *parts, options=("--tar=f",), whole=None):
    """One error that says what is wrong, and nothing left behind."""
    tar, img = write("tar", whole if whole is not None else archive(*parts)), tap.path("img")
    must_fail(regex, MKFS, "--quiet", *options, img, tar)
    if os.path.exists(img):
        raise Wrong(f"there is an output file of {os.path.getsize(img)} bytes")


ok = tap.check
a = file("a", b"contents of a\n")

# --- kinds of entries
ok("root as /", same_as_gnu_tar, header("/", **DIR), a)
ok("root as ./", same_as_gnu_tar, header("./", **DIR), header("./d/", **DIR), file("./d/f", b"1"))
ok("typeflag NUL", same_as_gnu_tar, file("n", b"data", type=b"\0"), a)
ok("typeflag 7", same_as_gnu_tar, file("n", b"data", type=b"7"), a)
ok("an unknown typeflag is a regular file", same_as_gnu_tar, file("n", b"data", type=b"Q"), a)
ok("Unix V7", same_as_gnu_tar, file("d/", type=b"\0", mode=0o755, magic=b""), file("d/f", b"v7", type=b"\0", magic=b""))
ok("a file whose name ends with a slash is a directory", same_as_gnu_tar, file("d/", type=b"0", mode=0o700), a)
ok("GNU directory with a list", same_as_gnu_tar, file("d/", b"Yf\0\0", type=b"D", mode=0o755), a)
ok("symlink, FIFO and hard link, with sizes that mean nothing", is_tree,
   {"s": "a", "a": b"contents of a\n", "h": b"contents of a\n", "d": None},
   a, header("s", type=b"2", link="a", size=7), header("d", **DIR | {"size": 5}), header("h", type=b"1", link="a", size=14))
ok("devices", same_as_gnu_tar, header("c", type=b"3", major=1, minor=3), header("b", type=b"4", major=259, minor=0xfffff), a)
ok("Solaris extended header", same_as_gnu_tar, pax([("path", "other")], type=b"X"), a)
for record in ("mtime", "123456789.5"), ("size", "4"):
    ok(f"{record[0]} for all files", same_as_gnu_tar, pax([record], b"g"), file("1", b"data", size=4 if record[0] == "mtime" else 0),
       file("2", b"more"))
ok("a global header, then another one", same_as_gnu_tar, pax([("mtime", "123456789")], b"g"), a, file("b", b"1"),
   pax([("mtime", "987654321")], b"g"), pax([("mtime", "5")]), file("c", b"1"), file("d", b"1"))
ok("a target for all links, then none", is_tree, {"a": b"contents of a\n", "s": "a", "t": "zz"}, pax([("linkpath", "a")], b"g"), a,
   header("s", type=b"2", link="zz"), pax([("linkpath", "")], b"g"), header("t", type=b"2", link="zz"))
ok("a global header behind that of an entry", refused, "has to come first", pax([("uid", "5")]), pax([("uid", "77")], b"g"), a)
ok("owners for all files", lambda: [extract(write("tar", archive(pax([("uid", "17"), ("gid", "18")], b"g"), a, file("b", b"1")))),
                                    compare({n: (17, 18) for n in "ab"}, {n: os.stat(tap.path("out/" + n))[4:6] for n in "ab"})])
ok("old GNU header with times in the place of the prefix", same_as_gnu_tar,
   file("a", b"x", magic=b"ustar  \0", tail=b"07654321000\0" + b"07654321000\0"))

# --- names
ok("redundant components", same_as_gnu_tar, file("./x/.//y", b"1"), header("x/./", **DIR), file("x//z", b"2"))
ok("absolute names", same_as_gnu_tar, file("/abs/f", b"1"), header("l", type=b"1", link="/abs/f"))
ok("'..' stays below the root", is_tree, {"b": b"2", "x": None, "x/c": b"3"},
   header("x", **DIR), file("../b", b"1"), file("x/../../b", b"2"), file("x/y/../c", b"3"))
ok("'..' as the last component", is_tree, {"x": None, "x/y": None}, header("x/y", **DIR), header("x/y/..", **DIR))
for n in 99, 100, 155, 255:
    ok(f"a name of {n} bytes, GNU", same_as_gnu_tar, longname("n" * n), file("n" * 100, b"1"))
    ok(f"a name of {n} bytes, PAX", same_as_gnu_tar, pax([("path", "d/" + "n" * n)]), file("x", b"1"))
ok("ustar prefix", same_as_gnu_tar, file("n" * 100, b"1", prefix=b"p" * 100 + b"/" + b"q" * 54))
ok("a long link, GNU", same_as_gnu_tar, longname("t" * 300, b"K"), header("s", type=b"2", link="t"))
ok("a long link, PAX", same_as_gnu_tar, pax([("linkpath", "t" * 4000)]), header("s", type=b"2", link="t"))
deep = "/".join(["d" * 200] * 19)
ok("a path near PATH_MAX", is_tree, {"/".join(["d" * 200] * n): None for n in range(1, 20)} | {deep + "/f": b"1"},
   pax([("path", deep + "/f")]), file("x", b"1"))
ok("a name of 256 bytes", refused, "too long", pax([("path", "n" * 256)]), file("x"))
ok("a path of PATH_MAX", refused, "too long", pax([("path", "/".join(["d" * 200] * 21))]), file("x"))
ok("a link of PATH_MAX", refused, "too long", pax([("linkpath", "l" * 4096)]), header("s", type=b"2"))
ok("a GNU name of 2^60 bytes", refused, "too long", header("@", type=b"L", size=base256(1 << 60, 12)), file("x"))
ok("a PAX header of 4 GiB", refused, "too large", header("@", type=b"x", size=base256(1 << 32, 12)), file("x"))
ok("a NUL in a PAX path", refused, "NUL", pax([("path", b"ab\0" + b"/" * 4000)]), file("x"))
ok("a NUL in a PAX path that looks like an xattr", refused, "NUL", pax([("path", b"a.xattr.b\0c")]), file("x"))
ok("a NUL in the name of an xattr", refused, "NUL", pax([("LIBARCHIVE.xattr.user.%00x", "dg==")]), file("x"))
ok("base64 that ends within a byte", refused, "cleaning|corrupt", pax([("LIBARCHIVE.xattr.user.x", "dh")]), file("x"))
ok("hard link to .", refused, "directory", a, header("h", type=b"1", link="."))
ok("hard link to an empty name", refused, "empty name", a, header("h", type=b"1", link=""))
ok("hard link to nothing", refused, "No such file", a, header("h", type=b"1", link="nothing"))
ok("hard link to a directory", refused, "directory", header("d", **DIR), header("h", type=b"1", link="d"))
ok("symlink to an empty name", refused, "empty name", header("s", type=b"2", link=""))
ok("a file as the root", refused, "Not a directory", file(".", b"1"))
ok("a file below a file", refused, "Not a directory", a, file("a/b", b"1"))

# --- the same name again
ok("file twice", same_as_gnu_tar, a, file("a", b"later", mode=0o600))
ok("file, then symlink", same_as_gnu_tar, a, file("b", b"2"), header("a", type=b"2", link="b"))
ok("symlink, then file", same_as_gnu_tar, header("a", type=b"2", link="b"), a)
ok("directory twice", same_as_gnu_tar, header("d", **DIR), file("d/f", b"1"), header("d", type=b"5", mode=0o700))
ok("hard link, then a file of that name", same_as_gnu_tar, a, header("d/h", type=b"1", link="a"), file("d/h", b"2"))
ok("hard link in a directory that goes", is_tree, {"d": b"3", "e": None, "e/h": b"2"}, file("d/a", b"1"),
   header("e/h", type=b"1", link="d/a"), file("d", b"3"), file("e/h", b"2"))
ok("directory with contents, then a file", is_tree, {"d": b"file"}, file("d/e/f", b"1"), file("d", b"file"))
ok("hard link to itself", is_tree, {"a": b"contents of a\n"}, a, header("a", type=b"1", link="a"))

# --- numbers
ok("negative time, base-256", same_as_gnu_tar, file("a", b"1", mtime=base256(-5, 12)))
ok("large ids, base-256", same_as_gnu_tar, file("a", b"1", uid=base256(3000000000, 8), gid=base256(70000, 8)))
ok("numbers behind spaces", same_as_gnu_tar, file("a", b"1", uid=b"     17 ", mode=b"   644 "))
ok("blank numbers are zero", is_tree, {"a": b"1"}, file("a", b"1", uid=b"", gid=b"       ", mtime=b""))
for t in "123.5", "123.000000001", "-0.25", "-7.75", "-123456789", "1700000000.123456789999", "5.":
    if t == "5.":
        ok(f"PAX mtime {t}", refused, "no time", pax([("mtime", t)]), a)
    else:
        ok(f"PAX mtime {t}", same_as_gnu_tar, pax([("mtime", t)]), a)
# Where a compact inode could be enough
AT = ("-T1000000000", "--mkfs-time")
ok("mtime in the second of mkfs.erofs", same_as_gnu_tar, pax([("mtime", "1000000000.25")]), a, options=AT)
for t in base256(-5, 12), base256(1 << 33, 12), 0, 1000000001:
    ok(f"mtime {t!r}, 48-bit", same_as_gnu_tar, file("a", b"1", mtime=t), options=AT + ("-E48bit",))
ok("PAX size", same_as_gnu_tar, pax([("size", "5")]), header("a", size=0) + pad(b"12345"))
for key, value in (("size", "-1"), ("size", "9223372036854775808"), ("size", "1 "), ("size", "0x10"), ("size", "+3"),
                   ("uid", "4294967296"), ("uid", "-1"), ("gid", "99999999999999999999"), ("mtime", "1e5"),
                   ("mtime", "9223372036854775808")):
    ok(f"PAX {key}={value}", refused, "out of range|no number", pax([(key, value)]), a)
for field, value in (("size", base256(-1, 12)), ("size", base256(1 << 63, 12)), ("size", base256(1 << 70, 12)),
                     ("size", b"00000000-01"), ("size", b"12x"), ("size", base256((1 << 63) - 1, 12)),
                     ("uid", base256(1 << 32, 8)), ("gid", base256(-1, 8)), ("mode", b"rwxr-x"), ("mtime", b"9"),
                     ("mtime", base256(1 << 70, 12))):
    ok(f"{field} {value!r}", refused, "out of range|no number", file("a", b"", **{field: value}))
for field, value in (("major", base256(1 << 12, 8)), ("minor", base256(1 << 20, 8)), ("major", b"zz"), ("minor", base256(-1, 8))):
    ok(f"device {field} {value!r}", refused, "out of range|no number", a, header("c", type=b"3", **{field: value}), file("b"))
for bad in (b"10 path=x", b"0 a=b\n", b"-5 a=b\n", b"99 path=x\n", b"6 path\n", b"5 =b\n", b"7  a=b\n"[:5], b"18446744073709551617 a=b\n"):
    ok(f"PAX record {bad!r}", refused, "malformed", pax(bad), a)
ok("wrong checksum", refused, "chksum", whole=a[:0x94] + b"000000\0 " + a[0x9c:] + bytes(1024))
for name, hint, pack in (("gzip", "use --ungzip", gzip.compress), ("xz", "use --unxz", lzma.compress), ("bzip2", "bzip2 -dc", bz2.compress),
                         ("zstd", "zstd -dc", lambda data: b"\x28\xb5\x2f\xfd" + data)):
    ok(f"by {name}, and no option says so", refused, f"compressed by {name}; .*{hint}", whole=pack(a + bytes(1024)).ljust(512, b"\0"))
ok("no tar at all", refused, "chksum|magic", whole=b"hello world\n" * 100)

# --- archives that end too early
ok("no end of archive", is_tree, {"a": b"contents of a\n"}, a)
ok("end within a header", refused, "the archive ends within a header", whole=a + a[:100])
ok("end within data", refused, "the archive ends within it", whole=file("b", b"x" * 5000)[:2000])
ok("end within a PAX header", refused, "the archive ends within it", whole=pax([("path", "x" * 600)])[:700])
ok("end before the data of an entry that is skipped", refused, "the archive ends within it",
   whole=file("d/", b"x" * 5000, type=b"D")[:2000])
ok("multi-volume continuation", refused, "not supported", file("m", b"x", type=b"M"))

# --- xattrs
ok("xattr name of 256 bytes", refused, "too long", pax([("SCHILY.xattr.user." + "n" * 251, "v")]), a)
ok("xattr value of 64 KiB", refused, "too long", pax([("SCHILY.xattr.user.n", "v" * 65536)]), a)
ok("more xattrs than an inode can have", refused, "more than an inode",
   pax([(f"SCHILY.xattr.user.{n}", "v" * 60000) for n in range(5)]), a)
ok("xattr name of 255 bytes", is_tree, {"a": b"contents of a\n"}, pax([("SCHILY.xattr.user." + "n" * 250, "v")]), a)


def xattrs_of(size):
    """All xattrs of an inode together: a header of 12 bytes, one of 4, a name of 1 and the value."""
    img = tap.path("img")
    must(MKFS, "--quiet", "--tar=f", "-x1000", img, write("tar", archive(pax([("SCHILY.xattr.user.a", "v" * (size - 17))]), a)))
    if f"Xattr size: {size}" not in must(DUMP, "--path=/a", img):
        raise Wrong(must(DUMP, "--path=/a", img))
    must(FSCK, img)


for size in 65532, 65536, 65540:
    ok(f"xattrs of {size} bytes in an inode", xattrs_of, size)


def labels(*parts):
    """fpread shows no xattrs, so look at the image: name and value of security.selinux, with the NUL that setfilecon(3) stores."""
    img = tap.path("img")
    must(MKFS, "--quiet", "--tar=f", "-x1000", img, write("tar", archive(*parts)))
    if get(img).count(b"\x07\x06\x06\x00selinuxa:b:c\0") != 1:
        raise Wrong("the label is not there")


ok("an SELinux label of GNU tar", labels, pax([("RHT.security.selinux", "a:b:c")]), a)
ok("an SELinux label, twice", labels, pax([("RHT.security.selinux", "d"), ("SCHILY.xattr.security.selinux", "a:b:c\0")]), a)
ok("an SELinux label, twice, the other way round", labels,
   pax([("SCHILY.xattr.security.selinux", "a:b:c\0"), ("RHT.security.selinux", "d")]), a)


def says(regex, *parts):
    said = must(MKFS, "--tar=f", tap.path("img"), write("tar", archive(*parts)))
    if not re.search(regex, said):
        raise Wrong(said)


ok("an archive of nothing", says, "nothing in .* but the end of an archive")
ok("ACLs of GNU tar are left out with a warning", says, "ACLs in text", pax([("SCHILY.acl.access", "user::rwx,group::r-x,mask::rwx,other::r-x")]), a)
ok("the same directory twice, with one xattr", is_tree, {"d": None},
   pax([("SCHILY.xattr.user.a", "1")]), header("d", **DIR), pax([("SCHILY.xattr.user.a", "2")]), header("d", **DIR))

# --- whiteouts
AUFS = ("--aufs",)
ok("whiteout", is_tree, {"a": b"contents of a\n", "b": (0, 0)}, a, file(".wh.b"), options=AUFS)
ok("whiteout with data and as a hard link", is_tree, {"b": (0, 0), "c": (0, 0), "a": b"contents of a\n"},
   file(".wh.b", b"data" * 200), a, header(".wh.c", type=b"1", link="a"), options=AUFS)
ok("whiteout of what the layer has itself", is_tree, {"a": b"contents of a\n"}, a, file(".wh.a"), options=AUFS)
ok("opaque root and directory", is_tree, {"d": None, "d/f": b"1"}, file(".wh..wh..opq"), header("d", **DIR),
   file("d/.wh..wh..opq", b"x" * 600), file("d/f", b"1"), options=AUFS)
ok("data of AUFS itself", is_tree, {"a": b"contents of a\n"}, header(".wh..wh.plnk/", **DIR),
   file(".wh..wh.plnk/1.2", b"x" * 600), file(".wh..wh.aufs"), a, options=AUFS)
for name in ".wh.", ".wh..", ".wh...", "d/.wh.":
    ok(f"whiteout {name}", refused, "without a name", header("d", **DIR), file(name), options=("--tar=f", *AUFS))
for name in "x", ".", ".w", ".wh", ".wha":
    ok(f"short name {name!r} with --aufs", is_tree, {"d": None} | ({f"d/{name}": b"1"} if name != "." else {}),
       header("d", **DIR), file("d/" + name, b"1") if name != "." else header("d/.", **DIR), options=AUFS)
ok("whiteouts are names without --aufs", is_tree, {".wh.b": b"", "a": b"contents of a\n"}, a, file(".wh.b"))


# --- output
def keeps_output_of_others():
    img = write("img", b"precious" * 1000)
    rc, said = run(MKFS, "--quiet", "--tar=f", img, write("tar", archive(file("a", size=b"x"))))
    if rc != 1 or not os.path.exists(img) or os.path.getsize(img):
        raise Wrong("the file that was there has to stay, and be empty\n" + said)


def incremental_keeps_base():
    img = tap.path("img")
    must(MKFS, "--quiet", "--tar=f", img, write("tar", archive(a)))
    with open(img, "rb") as f:
        before = f.read()
    must_fail("out of range|no number", MKFS, "--quiet", "--tar=f", "--incremental=data", img,
              write("tar2", archive(file("b", b"x" * 9999), file("c", size=b"x"))))
    with open(img, "rb") as f:
        if f.read(len(before) + 1) != before:
            raise Wrong("a failed run changed the base image")


ok("a failed run empties the file that it was given", keeps_output_of_others)
ok("a failed incremental run leaves the base as it was", incremental_keeps_base)


# --- memory goes by what an archive has, not by what it says
def within(limit, regex, data, *options):
    """Peak memory is at most LIMIT MiB; REGEX is of the error, None of none."""
    tar, img = write("tar", data), tap.path("img")
    p = subprocess.Popen([MKFS, "--quiet", *options, img, tar], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = p.stderr.read().decode()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode != (1 if regex else 0) or (regex and not re.search(regex, said)):
        raise Wrong(f"exit status {p.returncode}\n{said}")
    if usage.ru_maxrss > limit << 10:
        raise Wrong(f"{usage.ru_maxrss >> 10} MiB of memory, wanted at most {limit}\n{said}")


def states(size):
    return header("f", size=base256(size, 12))


def lzma_alone(dictionary):
    """A .lzma stream that asks for a dictionary of that size."""
    data = lzma.compress(archive(a), lzma.FORMAT_ALONE)
    return data[:1] + struct.pack("<I", dictionary) + data[5:]


def extents(millions, each):
    """A compressed archive, small here as well: what a child is given counts for its peak."""
    number = b"%d\n" % (millions << 20)
    size = len(number) + (len(each) * millions << 20)
    z = zlib.compressobj(wbits=31)
    pieces = [pax([("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "0")]),
              header("f", size=size + -size % 512), number, *[each * (1 << 20)] * millions, bytes(-size % 512 + 1024)]
    return b"".join(map(z.compress, pieces)) + z.flush()


MANY = 1 << 62 - 1
ok("headerball of a file of 2^61 bytes", within, 64, "2\\^32 blocks", archive(states(MANY)), "--tar=headerball", "-b512")
ok("headerball of 2000 files of 2^43 bytes", within, 64, None, archive(*[header(f"f{n}", size=base256((1 << 43) + n, 12))
   for n in range(2000)]), "--tar=headerball")
ok("index of a file of 2^61 bytes", within, 64, "Input/output", archive(states(MANY)), "--tar=i", "-b512")
ok("a file of 2^61 bytes", within, 64, "Input/output", archive(states(MANY)), "--tar=f")
ok("sparse file of 2^61 bytes", within, 64, "2\\^32 blocks", archive(
   pax([("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", str(MANY))]), file("f", b"0\n" + bytes(510))),
   "--tar=f")
ok("sparse file of 16 million empty extents", within, 64, None, extents(16, b"0\n0\n"), "--tar=f", "--ungzip")
ok("and of as many that overlap", within, 64, "not in order", extents(16, b"0\n1\n"), "--tar=f", "--ungzip")
ok("sparse file of 2^41 bytes in chunks", within, 64, "larger --chunksize", archive(
   pax([("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", str(1 << 41))]),
   file("f", pad(b"1\n0\n512\n") + bytes(512))), "--tar=f", "--chunksize=4096")
ok("20000 xattrs of one file", within, 64, "more xattrs", archive(pax([(f"SCHILY.xattr.user.{n}", "") for n in range(20000)]), a),
   "--tar=f")
ok("a dictionary of 64 MiB, as xz -9 takes", within, 140, None, lzma_alone(64 * MIB), "--tar=f", "--unxz")
ok("a dictionary of 1 GiB", within, 64, "takes 10[0-9][0-9] MiB .* xz -dc", lzma_alone(1024 * MIB), "--tar=f", "--unxz")


ok("17 xattrs of all files", within, 64, "more xattrs", archive(pax([(f"SCHILY.xattr.user.{n}", "") for n in range(17)], b"g"),
   *[header(f"f{n}") for n in range(1000)]), "--tar=f")


# --- ends of archives and of streams
def stream(regex, option, data, want):
    """REGEX is of the error, None of none; WANT is what is dumped."""
    tar, img = write("tar", data), tap.path("img")
    if regex:
        must_fail(regex, MKFS, "--quiet", "--tar=f", option, img, tar)
        return
    must(MKFS, "--quiet", "--tar=f", f"{option}={tap.path('raw')}", img, tar)
    with open(tap.path("raw"), "rb") as f:
        if f.read() != want:
            raise Wrong("the stream that was dumped is another one")


def in_pieces(size):
    """Headers of xz come in a read(2) of their own."""
    data = lzma.compress(archive(file("f", os.urandom(5000))))
    with subprocess.Popen([MKFS, "--quiet", "--tar=f", "--unxz", tap.path("img")], stdin=subprocess.PIPE) as p:
        p.stdin.write(data[:size])
        p.stdin.flush()
        time.sleep(0.2)
        p.stdin.write(data[size:])
        p.stdin.close()
    if p.returncode:
        raise Wrong(f"exit status {p.returncode}")


for size in 6, 12, 24:
    ok(f"the first {size} bytes of xz by themselves", in_pieces, size)

# zlib does not see that a trailer is missing if the last read(2) of contents is exactly full.
long = archive(file("f", os.urandom(123456)))
ok("a lone block of zeroes ends an archive", same_as_gnu_tar, a, bytes(512), file("behind", b"1"))
for name, option, pack in ("gzip", "--ungzip", gzip.compress), ("xz", "--unxz", lzma.compress):
    whole = pack(long)
    ok(f"{name}, no blocks of zeroes at the end", stream, None, option, pack(long[:-1024]), long[:-1024])
    ok(f"{name}, one block of zeroes at the end", stream, None, option, pack(long[:-512]), long[:-512])
    ok(f"{name}, two streams", stream, None, option, pack(long[:66000]) + pack(long[66000:]), long)
    for more in range(0, 40000, 5000):
        ok(f"{name}, {more} bytes behind the archive", stream, None, option, pack(long + bytes(more)), long + bytes(more))
    for less in 1, 4, 8, 20:
        ok(f"{name}, the last {less} bytes are missing", stream, "stream|gzread", option, whole[:-less], None)
    ok(f"{name}, a wrong checksum behind much padding", stream, "stream|gzread", option,
       (lambda d: d[:-6] + bytes([d[-6] ^ 1]) + d[-5:])(pack(long + bytes(1 << 20))), None)


ok("an archive that ends behind a name", refused, "before the file", whole=longname("n" * 200))
ok("an archive that ends behind a PAX header", refused, "before the file", a, pax([("size", "5")]))
for size in 1 << 32, (1 << 32) + 1:
    for how in "--tar=i", "--tar=f":
        ok(f"{size} bytes of a file are missing, {how}", refused, "the archive ends within it", whole=header("f", size=base256(size, 12)), options=(how,))


def second_archive():
    """Standard input may be somewhere in its file."""
    one, two = archive(file("one", b"1")), archive(file("two", b"2"))
    img = tap.path("img")
    with open(write("tars", one + two), "rb") as f:
        os.lseek(f.fileno(), len(one), os.SEEK_SET)
        must(MKFS, "--quiet", "--tar=f", img, stdin=f)
        os.lseek(f.fileno(), len(one), os.SEEK_SET)
        must_fail("not at the beginning", MKFS, "--quiet", "--tar=i", tap.path("index"), stdin=f)
    must(FSCK, "--extract=" + tap.path("out"), img)
    if get(tap.path("out/two")) != b"2" or os.path.exists(tap.path("out/one")):
        raise Wrong("another archive")


def offset_of_implied(*options):
    shutil.rmtree(tap.path("out"), ignore_errors=True)
    extract(write("tar", archive(file("d/e/f", b"1", uid=5, gid=6))), *options)
    return {p: os.stat(tap.path("out/" + p))[4:6] for p in ("", "d", "d/e", "d/e/f")}


def offsets():
    compare({p: (107, 209) for p in ("", "d", "d/e", "d/e/f")},
            offset_of_implied("--force-uid=7", "--force-gid=9", "--uid-offset=100", "--gid-offset=200"))
    own = (os.getuid() + 100000, os.getgid() + 100000)
    compare({"": own, "d": own, "d/e": own, "d/e/f": (100005, 100006)},
            offset_of_implied("--uid-offset=100000", "--gid-offset=100000"))
    # an owner that the source does not have is in nobody's way
    must(MKFS, "--quiet", "--tar=f", "--uid-offset=-70000", tap.path("img"),
         write("tar", archive(header("./", uid=70000, **DIR), file("./f", b"1", uid=70001))))


def many_names(n):
    tar = write("tar", archive(*[header(f"d/{i * 7919 % n}") for i in range(n)]))
    must(MKFS, "--quiet", "--tar=f", tap.path("img"), tar, timeout=60)


def implied_modes(*parts):
    extract(write("tar", archive(*parts)))
    for name in "", "etc":
        mode = os.stat(os.path.join(tap.path("out"), name)).st_mode & 0o7777
        if mode != 0o755:
            raise Wrong(f"/{name} has mode {mode:04o}")


def no_archive(option, source):
    img = tap.path("img")
    write("empty", b"")
    os.mkdir(tap.path("dir"))
    with open(os.devnull, "rb") as null:
        must_fail("no archive|Is a directory", MKFS, "--quiet", option, img, *([tap.path(source)] if source else []), stdin=null)
    if os.path.exists(img):
        raise Wrong("there is an output file")


for option in "--tar=f", "--tar=i", "--tar=headerball":
    for source in "empty", "dir", None:
        ok(f"{option} of {source or 'nothing on standard input'}", no_archive, option, source)
ok("the second archive of standard input", second_archive)
if os.getuid():
    tap.skip("--uid-offset counts for directories that no entry names", "not root")
else:
    ok("--uid-offset counts for directories that no entry names", offsets)
ok("only their owner writes to directories that no entry names", implied_modes, file("etc/x", b"1"))
ok("100,000 names in one directory take no minute", many_names, 100000)
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One wrong field each: fsck.erofs says so, with exit status 1, if a reader gets an error or nonsense from it."""
import json
import os
import re
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from imagelib import (COMPAT, DIRBLKBITS, FIXED_NSEC, FULL, INCOMPAT, META, PLAIN, ROOT, SB, VOLUME,  # noqa: E402
                      Image, Inode)
from taplib import DUMP, FSCK, MKFS, Tap, Wrong, must, must_fail, put as put_file  # noqa: E402
from tarlib import archive, file  # noqa: E402

tap = Tap()


def make(*options):
    os.makedirs(tap.path("tree/d"))
    for name, data in (("file", b"x" * 3000), ("d/hello", b"hello\n"), ("numbers", b"".join(b"%d\n" % n for n in range(30000)))):
        with open(tap.path("tree/" + name), "wb") as f:
            f.write(data)
    for name in "file", "d/hello":
        os.setxattr(tap.path("tree/" + name), "user.shared", b"s" * 100)
    os.setxattr(tap.path("tree/file"), "user.own", b"own")
    os.symlink("d/hello", tap.path("tree/link"))
    os.mkfifo(tap.path("tree/fifo"))
    for n in range(200):
        with open(tap.path("tree/d/" + "n" * 40 + "%04d" % n), "w", encoding="ascii") as f:
            f.write("x")
    must(MKFS, "--quiet", "-T0", "--all-time", "-x1", *options, tap.path("img"), tap.path("tree"))
    must(FSCK, "--extract", tap.path("img"))
    return Image(tap.path("img"))


def lie(change, regex, *options, extract=False):
    im = make(*options)
    change(im)
    im.save(tap.path("bad"))
    if not extract:
        must_fail(regex, FSCK, tap.path("bad"))
    must_fail(regex, FSCK, "--extract", tap.path("bad"))
    must_fail(regex, FSCK, "--xattrs", "--extract=" + tap.path("out"), tap.path("bad"))


def put(fmt, at, value):
    return lambda im: im.put(fmt, at, value)


def of(name, what, fmt, offset, value):
    """Change a field that is @offset bytes behind the attribute @what of an inode."""
    return lambda im: im.put(fmt, getattr(im.inode(name), what) + offset, value)


def blocks(im):
    """(position, names) of the blocks of /d."""
    found = {}
    for name, _, _, at in im.entries(im.entry("d")[1]):
        found.setdefault(at, []).append(name)
    return list(found.items())


def first_name(get):
    def change(im):
        (_, before), (at, names) = blocks(im)[:2]
        new = get(before, names)
        assert len(new) == len(names[0])
        im.write(at + im.get("H", at + 8), new.encode())
    return change


def shared_id(im):
    im.put("I", im.inode("file").xattrs + 12, 0x3fffffff)


def hide(im):
    im.set_bits(COMPAT, 4)
    im.put("I", im.inode("file").xattrs, 0xffffffff)


def nul_in_xattr(im):
    inode = im.inode("file")
    at = next(at for at in im.xattrs(inode) if bytes(im.data[at + 4:at + 7]) == b"own")
    im.data[at + 5] = 0


def long_symlink(im):
    inode = im.inode("link")
    im.set_layout(inode, PLAIN)
    im.put("I", inode.size_at, 5000)
    im.put("I", inode.u_at, 0)


def merge(change, regex, *options):
    im = make(*options)
    change(im)
    im.save(tap.path("bad"))
    for clean in (), ("--clean=data",):
        must_fail(regex, MKFS, "--quiet", *clean, tap.path("merged"), tap.path("bad"))
        if os.path.exists(tap.path("merged")):
            raise Wrong("there is an output file")


def slow_extents():
    """40,000 extents of nothing, in records of 4 bytes that have to be added up."""
    im, count = make(), 40000
    im.set_bits(INCOMPAT, 0x80)     # 48bit
    im.data += bytes(-len(im.data) % 4096)
    im.put("Q", im.entry("file")[0], (len(im.data) - im.get("I", META) * im.block) // 32)
    im.data += struct.pack("<HHHHIIII8x", 1 << 1, 0, 0o100644, 1, count * 4096, 0, 0, 1)
    im.data += struct.pack("<IHHQ", count, 1, 0, 0) + bytes(4 * count)
    im.data += bytes(-len(im.data) % 4096)
    im.save(tap.path("slow"))
    must(FSCK, tap.path("slow"), cpu=1)


def same_letter(*options):
    """A file of 64 MiB whose extents have as many clusters as can be, and where its indexes begin."""
    os.mkdir(tap.path("tree"))
    with open(tap.path("tree/a"), "wb") as f:
        f.write(b"a" * (64 << 20))
    must(MKFS, "--quiet", "-zlz4", "-Elegacy-compress", "--fingerprint", *options, tap.path("img"), tap.path("tree"))
    im = Image(tap.path("img"))
    inode = im.inode("a")
    return im, inode.header + 16, inode.size // im.block


def slow_lookback():
    """Each cluster refers to the one before instead of the head of its extent."""
    im, at, count = same_letter("-b512", "-C131072")
    for n in range(count):
        distance = im.get("H", at + 8 * n + 4)
        if im.get("H", at + 8 * n) & 3 == 2 and not distance & 0x800:
            im.put("H", at + 8 * n + 4, 1)
    im.save(tap.path("slow"))
    must(FSCK, "--fingerprint", tap.path("slow"), cpu=4)


def size_of_pcluster(blocks):
    """A cluster in the middle says that the pcluster has another size, which a kernel goes by for that one."""
    im, at, _ = same_letter("-C16384")
    im.put("H", at + 8 * 5 + 4, 0x800 | blocks)
    im.save(tap.path("bad"))
    for options in [], ["--extract"], ["--fingerprint"]:
        must_fail("another one inside", FSCK, *options, tap.path("bad"))


def many_fragments():
    """Small directories in a packed inode that is decompressed once."""
    for n in range(6000):
        os.makedirs(tap.path(f"tree/{n:05}/d"))
    must(MKFS, "--quiet", "-zlzma", "--zD", "-b512", "-C524288", tap.path("img"), tap.path("tree"))
    for args in (DUMP, "-S"), (DUMP, "--path=/05999"), (FSCK, "--path=/"):
        must(*args, tap.path("img"), cpu=4)


ORDER = "wrong dirent name order"
tap.check("clusters that refer to the one before", slow_lookback)
for size in 1, 2, 8:
    tap.check(f"another size of a pcluster, {size} blocks", size_of_pcluster, size)
tap.check("thousands of directories in fragments", many_fragments)
tap.check("a name that is before those of the block before", lie, first_name(lambda before, names: "A" + names[0][1:]), ORDER)
tap.check("the last name of the block before once more", lie, first_name(lambda before, names: before[-1]), ORDER)
tap.check("a file as the root", lie, lambda im: im.put("H", ROOT, im.entry("file")[1]), "root is no directory")
tap.check("directory blocks of another size", lie, put("B", DIRBLKBITS, 1), "dirblkbits")
tap.check("a volume name without an end", lie, lambda im: im.write(VOLUME, b"A" * 16), "volume name")
tap.check("nanoseconds of an inode", lie, of("file", "at", "I", 40, 1000000000), "nanoseconds", "-Eforce-inode-extended")
tap.check("nanoseconds of all inodes", lie, put("I", FIXED_NSEC, 0xffffffff), "nanoseconds")
tap.check("type of a directory", lie, lambda im: im.put("B", im.entry("d")[0] + 10, 1), "wrong type 1")
tap.check("type of a file", lie, lambda im: im.put("B", im.entry("file")[0] + 10, 7), "wrong type 7")
tap.check("type of ..", lie, lambda im: im.put("B", im.entry("d/..")[0] + 10, 1), "has a wrong type")
tap.check("no links", lie, of("file", "at", "H", 6, 0), "no links")
tap.check("a fifo that is compressed", lie, lambda im: im.set_layout(im.inode("fifo"), FULL), "no compressed files")
tap.check("symlink to nothing", lie, of("link", "at", "I", 8, 0), "symlink is empty")
tap.check("symlink that is too long", lie, long_symlink, "symlink is empty or too long")
tap.check("symlink with a NUL", lie, of("link", "end", "B", 1, 0), "NUL", extract=True)
tap.check("more shared xattrs than there is room for", lie, of("file", "xattrs", "B", 4, 200), "bad xattrs")
tap.check("shared xattr behind the end", lie, shared_id, "bad xattrs")
tap.check("xattr that the filter hides", lie, hide, "bad xattrs")
tap.check("NUL in the name of an xattr", lie, nul_in_xattr, "bad xattrs")
tap.check("algorithm of no extent", lie, of("numbers", "header", "B", 6, 0xf0), "unknown algorithms", "-zlz4hc", "-C65536")
tap.check("big pclusters without the feature", lie, of("numbers", "header", "H", 4, 2), "big pcluster",
          "-zlz4", "-Elegacy-compress")
tap.check("clusters of 2^31 bytes", lie, of("numbers", "header", "B", 7, 15), "clusters of 2.31 bytes",
          "-zlz4hc", "-Elegacy-compress", "-b65536")
tap.check("fragment behind the end of the packed inode", lie, of("numbers", "header", "I", 0, 0x7fffffff),
          "not in the packed inode", "-zlz4", "-Eall-fragments")
tap.check("fragment without a packed inode", lie, lambda im: im.clear_bits(INCOMPAT, 0x20), "no packed inode|not in the packed",
          "-zlz4", "-Eall-fragments")
tap.check("block size of 2^255 bytes", lie, put("B", SB + 12, 255), "blocks of 2.255 bytes")
for algorithm, offset, fmt, value in (("lzma", 0, "I", 0xffffffff), ("deflate", 0, "B", 60), ("zstd", 1, "B", 40)):
    tap.check("window of " + algorithm, lie, put(fmt, SB + 128 + 2 + offset, value), "configuration", "-z" + algorithm)


for case, change, why, options in (
        ("symlink to nothing", of("link", "at", "I", 8, 0), "link is empty or too long", ()),
        ("symlink with a NUL", of("link", "end", "B", 1, 0), "link has a NUL", ()),
        ("nanoseconds", of("file", "at", "I", 40, 1000000000), "nanoseconds", ("-Eforce-inode-extended",))):
    tap.check("merge: " + case, merge, change, why, *options)


# --- what can be right, too
def empty_xattrs():
    os.mkdir(tap.path("tree"))
    with open(tap.path("tree/file"), "w", encoding="ascii") as f:
        f.write("x")
    want = {"user.a": b"", "user.b": b"b", "user.c": b""}
    for name, value in want.items():
        os.setxattr(tap.path("tree/file"), name, value)
    must(MKFS, "--quiet", tap.path("img"), tap.path("tree"))
    must(MKFS, "--quiet", "--clean=data", tap.path("merged"), tap.path("img"))
    for img in "img", "merged":
        out = tap.path("out-" + img)
        must(FSCK, "--xattrs", "--extract=" + out, tap.path(img))
        got = {name: os.getxattr(out + "/file", name) for name in os.listxattr(out + "/file")}
        if got != want:
            raise Wrong(f"{img}: {got}")


def metabox_xattrs():
    """The first block of the metabox has the inodes, that of the image has the shared xattrs."""
    os.mkdir(tap.path("tree"))
    for name in "file", "hello":
        with open(tap.path("tree/" + name), "w", encoding="ascii") as f:
            f.write(name)
        os.setxattr(tap.path("tree/" + name), "user.shared", b"s" * 100)
        os.setxattr(tap.path("tree/" + name), "user.own", name.encode())
    must(MKFS, "--quiet", "-x1", "-m4096:lz4", tap.path("img"), tap.path("tree"))
    must(FSCK, "--xattrs", "--extract=" + tap.path("out"), tap.path("img"))
    for name in "file", "hello":
        want, got = (sorted(os.listxattr(tap.path(top + name))) for top in ("tree/", "out/"))
        if want != got:
            raise Wrong(f"{name}: wanted {want}, got {got}")


def file_as_directory():
    os.mkdir(tap.path("tree"))
    with open(tap.path("tree/fake"), "wb") as f:
        f.write(struct.pack("<QHBB", 36, 12, 1, 0) + b"ghost")
    must(MKFS, "--quiet", tap.path("img"), tap.path("tree"))
    for args in (DUMP, "--path=/fake/ghost"), (FSCK, "--path=/fake/ghost"):
        must_fail("ghost", *args, tap.path("img"))


# --- names
def sums():
    os.makedirs(tap.path("tree/sub"))
    names = ["-", "-n", " x", "*y", "a\nb", "a\rb", "a\\b", "\udcff\udcc3", "sub/-", "MD5 (a) = b", "#c"]
    for n, name in enumerate(names):
        with open(tap.path("tree/" + name), "w", encoding="ascii") as f:
            f.write(str(n))
    must(MKFS, "--quiet", "--fingerprint", tap.path("img"), tap.path("tree"))
    with open(tap.path("sums"), "wb") as f:
        subprocess.run([DUMP, "--fingerprint=sha256sum", tap.path("img")], stdout=f, check=True)
    p = subprocess.run(["sha256sum", "--strict", "-c", "../sums"], cwd=tap.path("tree"), stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if p.returncode or p.stdout.count(b": OK\n") != len(names):
        raise Wrong(p.stdout.decode(errors="replace"))


def one_line():
    os.mkdir(tap.path("tree"))
    with open(tap.path("tree/a\n<E> erofs: digest wrong: \033b"), "w", encoding="ascii") as f:
        f.write("x")
    must(MKFS, "--quiet", "--fingerprint", tap.path("img"), tap.path("tree"))
    im = Image(tap.path("img"))
    im.data[Inode(im, im.entries(im.get("H", ROOT))[2][1]).end] ^= 1
    im.save()
    said = must_fail(r"digest wrong: /a\\012<E> erofs: digest wrong: \\033b\n", FSCK, "--fingerprint", tap.path("img"))
    said += must(DUMP, "--ls", "--path=/", tap.path("img"))
    if "\033" in said or "\n<E> erofs: digest wrong: \\033" in said:
        raise Wrong(said)


def no_escapes():
    """What strangers name does nothing to terminals, and makes no lines of its own: C0, DEL, and C1 in UTF-8."""
    name = b"a\033[2J\xc2\x9b31m\177\nBuild completed.\nb\xc2\xa0\xc3\x9b"
    shown = r"a\033[2J\302\23331m\177\012Build completed.\012b" + "\xa0\xdb"
    good, bad = archive(file(name, b"x")), bytearray(archive(file(name, b"x")))
    bad[108:116] = b"zzzzzzz\0"
    bad[148:156] = b"%06o\0 " % (sum(bad[:148]) + 8 * 32 + sum(bad[156:512]))
    put_file(tap.path("good"), good)
    put_file(tap.path("bad"), bytes(bad))
    said = [must(MKFS, "--fingerprint", "--tar=f", tap.path("img"), tap.path("good"))]
    im = Image(tap.path("img"))
    nid = im.get("Q", im.inode("").end + 24)    # of the third entry, after the dots
    said += [
            must_fail("tar: entry", MKFS, "--quiet", "--tar=f", tap.path("no"), tap.path("bad")),
            must(DUMP, "--fingerprint", tap.path("img")), must(DUMP, "--ls", "--path=/", tap.path("img")),
            must(DUMP, "-e", f"--nid={nid}", tap.path("img"))]
    must(FSCK, "--extract=" + tap.path("out"), tap.path("img"))
    said.append(must_fail("File exists", FSCK, "--extract=" + tap.path("out"), tap.path("img")))
    for text in said:
        if shown not in text or re.search("[\0-\b\v-\037\177-\x9f]", text):
            raise Wrong(repr(text))
    said = must(DUMP, "--fingerprint", "--json", tap.path("img"))
    if json.loads(said)[0]["path"].encode() != b"/" + name or re.search("[\0-\b\v-\037\177-\x9f]", said):
        raise Wrong(repr(said))


def huge_sums():
    """Sizes that no forecast can add up are refused."""
    im = make("--fingerprint", "-Eforce-inode-extended")
    for name in "file", "numbers":
        im.put("Q", im.inode(name).size_at, 1 << 62)
    im.save(tap.path("bad"))
    must_fail("8 EiB and more", DUMP, "--sharing", "--json", tap.path("bad"), tap.path("img"))


# --- work that is bounded
def deep(count):
    """Directories in one another, each in 128 bytes.  Return the nid of the last one."""
    im = Image(tap.path("img"))
    data, first = bytearray(4096 + 128 * count + 4096), 4096 // 32
    data[:4096] = im.data[:4096].ljust(4096, b"\0")
    for n in range(count):
        names = [(b".", n), (b"..", max(n - 1, 0))] + ([(b"a", n + 1)] if n + 1 < count else [])
        entries, text = b"", b""
        for name, target in names:
            entries += struct.pack("<QHBB", first + 4 * target, 12 * len(names) + len(text), 2, 0)
            text += name
        at = (first + 4 * n) * 32
        struct.pack_into("<HHHHIIII", data, at, 2 << 1, 0, 0o40755, 2, len(entries + text), 0, 0xffffffff, n)
        data[at + 32:at + 32 + len(entries + text)] = entries + text
    im.data = data + bytes(-len(data) % 4096)
    for fmt, at, value in (("I", COMPAT, 0), ("I", INCOMPAT, 0), ("H", ROOT, first), ("I", SB + 40, 0), ("B", SB + 91, 0),
                           ("I", SB + 36, len(im.data) // 4096)):
        im.put(fmt, at, value)
    im.save(tap.path("deep"))
    return first + 4 * (count - 1)


def too_deep():
    make()
    last = deep(40000)
    must_fail("too long", FSCK, tap.path("deep"))
    if "(not found)" not in must(DUMP, f"--nid={last}", tap.path("deep")):
        raise Wrong("there is a path")
    for options in (), ("--clean=data",):
        must_fail("too long", MKFS, "--quiet", *options, tap.path("merged"), tap.path("deep"))
        if os.path.exists(tap.path("merged")):
            raise Wrong("there is an output file")
    deep(2000)
    must(FSCK, tap.path("deep"))
    must(MKFS, "--quiet", tap.path("merged"), tap.path("deep"))


def many_names():
    os.mkdir(tap.path("tree"))
    with open(tap.path("tree/f"), "wb") as f:
        f.write(b"a" * 40000000)
    for n in range(4000):
        os.link(tap.path("tree/f"), tap.path(f"tree/l{n}"))
    must(MKFS, "--quiet", "-zlz4", tap.path("img"), tap.path("tree"))
    for n in range(4000):
        os.unlink(tap.path(f"tree/l{n}"))
    must(FSCK, "--extract", tap.path("img"), cpu=2)


def incremental():
    """New files in a compressed image, without a compressor."""
    for options in ("-zlz4",), ("-zlz4", "-E48bit", "-C65536"):
        make(*options, "--fingerprint")
        os.makedirs(tap.path("new/d"))
        with open(tap.path("new/d/new"), "wb") as f:
            f.write(b"new\n" * 3000)
        must(MKFS, "--quiet", "--incremental=data", tap.path("img"), tap.path("new"))
        must(FSCK, "--fingerprint", "--extract=" + tap.path("out"), tap.path("img"))
        with open(tap.path("out/d/new"), "rb") as f:
            if f.read() != b"new\n" * 3000:
                raise Wrong("wrong contents")
        subprocess.run(["rm", "-rf", *(tap.path(n) for n in ("tree", "new", "out", "img"))], check=True)


tap.check("empty xattrs", empty_xattrs)
tap.check("shared xattrs of the metabox", metabox_xattrs)
tap.check("a file is no directory", file_as_directory)
tap.check("sha256sum -c takes names of all kinds", sums)
tap.check("names are printed in one line", one_line)
tap.check("names do nothing to terminals", no_escapes)
tap.check("sums of sizes beyond 64 bits", huge_sums)
tap.check("40,000 directories in one another", too_deep)
tap.check("a file of 40 MB with 4,001 names is read once", many_names)
tap.check("40,000 extents whose lengths are added up", slow_extents)
tap.check("an incremental build of a compressed image without -z", incremental)
tap.done()

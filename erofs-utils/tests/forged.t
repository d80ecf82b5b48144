#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Images that show fsck.erofs --fingerprint other contents, or another digest, than what the kernel goes by."""
import hashlib
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from imagelib import (CHUNK, COMPAT, DEVT, FRAGMENTS, FULL, INCOMPAT, METABOX, METABOX_BIT, PACKED,  # noqa: E402
                      PREFIXES, SB, XATTR, Image, Inode)
from taplib import DUMP, FSCK, MKFS, Tap, Wrong, must, must_fail, run  # noqa: E402

tap = Tap()
GOOD, EVIL = b"GOOD" * 1024, b"EVIL" * 1024
WRONG = "digest wrong: /victim"


def sha256(data):
    return hashlib.sha256(data).digest()


def tree(**files):
    os.mkdir(tap.path("tree"))
    for name, data in files.items():
        with open(tap.path("tree/" + name), "wb") as f:
            f.write(data)


def make(*options):
    must(MKFS, "--quiet", "-T0", "--all-time", "--fingerprint", *options, tap.path("img"), tap.path("tree"))
    must(FSCK, "--fingerprint", tap.path("img"))
    return Image(tap.path("img"))


def refuse(im, regex=WRONG, *args):
    im.save(tap.path("forged"))
    must_fail(regex, FSCK, "--fingerprint", *args, tap.path("forged"))


def packed():
    """The nid of a file as that of the packed inode, whose contents are looked at with other files."""
    tree(victim=b"good\n")
    im = make()
    victim = im.inode("victim")
    im.write(victim.end, b"evil\n")
    im.set_bits(INCOMPAT, FRAGMENTS)
    im.put("Q", PACKED, victim.nid)
    refuse(im)
    must_fail(WRONG, FSCK, "--fingerprint", "--path=/victim", tap.path("forged"))
    must(FSCK, "--extract=" + tap.path("out"), tap.path("forged"))
    if not os.path.exists(tap.path("out/victim")):
        raise Wrong("the file is not extracted")


def name(infix):
    """Another name of fingerprints, which as text is that of an xattr with the right digest."""
    tree(victim=b"good\n")
    for attr in "user.A", "user." + "A" * 15:
        os.setxattr(tap.path("tree/victim"), attr, b"sha256:" + sha256(b"evil\n"))
    im = make()
    victim = im.inode("victim")
    im.write(victim.end, b"evil\n")
    table = im.get("I", PREFIXES) * 4
    assert im.data[table + 3:table + 23] == b"erofs.fingerprint.v1"
    im.write(table + 3, infix.ljust(20, b"\0"))
    if infix == b"A":
        for at in im.xattrs(victim):
            if im.data[at] == 1:
                im.data[at + 1] = 0
    refuse(im, WRONG + "|bad xattrs")


def table():
    """A table of names in a packed inode that there is not, since there are no fragments."""
    tree(victim=b"good\n", table=bytes(1152) + b"\2\0\1A")
    for file, data in ("victim", b"evil\n"), ("table", bytes(1152) + b"\2\0\1A"):
        os.setxattr(tap.path("tree/" + file), "user.A", b"sha256:" + sha256(data))
    im = make()
    assert im.get("I", PREFIXES) * 4 == 1152
    victim = im.inode("victim")
    im.write(victim.end, b"evil\n")
    a, b = im.xattrs(victim)    # of equal length
    im.data[a:a + 44], im.data[b:b + 44] = im.data[b:b + 44], im.data[a:a + 44]
    im.clear_bits(COMPAT, 0x10)
    im.put("Q", PACKED, im.inode("table").nid)
    refuse(im)


def ranges(forge):
    """An address without a device id that is in the range of a device."""
    tree(**{"f%d" % n: b"%d" % n * 4096 for n in range(9)}, victim=EVIL)
    blob = tap.path("blob")
    must(MKFS, "--quiet", "--fingerprint", "--chunksize=4096", "--blobdev=" + blob, tap.path("img"), tap.path("tree"))
    must(FSCK, "--fingerprint", "--device=" + blob, tap.path("img"))
    im = Image(tap.path("img"))
    slot = im.get("H", DEVT) * 128
    im.put("I", slot + 68, 100)
    for n in range(9):
        inode = im.inode("f%d" % n)
        block = im.get("I", inode.header + 4)
        if forge and not block:
            continue
        im.put("H", inode.header + 2, 0)
        im.put("I", inode.header + 4, 100 + block)
        if forge:
            im.data += bytes(max(0, (block + 1) * 4096 - len(im.data)))
            im.write(block * 4096, GOOD)
            im.set_digest(inode, sha256(GOOD))
            break
    if forge:
        refuse(im, "digest wrong: /f", "--device=" + blob)
        return
    im.save(tap.path("flat"))
    must(FSCK, "--fingerprint", "--device=" + blob, tap.path("flat"))


def interlaced():
    """Uncompressed inline data of an interlaced inode, which begins with its first byte all the same."""
    tree(a=b"abc\n" * 1524, victim=os.urandom(3500))
    im = make("-zlz4", "-Elegacy-compress")
    victim, a = im.inode("victim"), im.inode("a")
    block = im.get("I", a.header + 16 + 4)
    im.set_layout(victim, FULL)
    im.put("I", victim.size_at, 4096 + 2000 + 500)
    im.write(victim.header, struct.pack("<HHHH8x", 0, 500, 0x18, 0))
    im.write(victim.header + 16, struct.pack("<HHIHHI", 1, 0, block, 0, 2000, 0))
    tail = bytes(97 + n % 26 for n in range(500))
    im.write(victim.header + 32, tail)
    im.set_digest(victim, sha256(b"abc\n" * 1524 + tail))
    im.save(tap.path("right"))
    must(FSCK, "--fingerprint", "--path=/victim", tap.path("right"))
    got = must(DUMP, "--cat", "--path=/victim", tap.path("right"))
    if not got.endswith(tail.decode()):
        raise Wrong("dump --cat: " + got[-40:])


def behind_block():
    """Inline data that leaves its block."""
    tree(victim=b"".join(b"%d\n" % n for n in range(3000)))
    im = make("-zlz4hc", "-Eztailpacking")
    im.put("H", im.inode("victim").header + 2, 4090)
    im.data += bytes(8192)
    im.save(tap.path("bad"))
    must_fail("invalid tail-packing", FSCK, tap.path("bad"))


def metabox():
    """An index in the metabox, and another one at the same offset of the image."""
    tree(good=GOOD, evil=EVIL, mbox=bytes(8192), victim=b"x")
    im = make("-Enoinline_data")
    prefixes = im.get("I", PREFIXES) * 4
    im.write(512, im.data[prefixes:prefixes + 24])
    im.put("I", PREFIXES, 128)
    im.write(SB + 128, bytes(16))
    im.data[SB + 13] = 1
    im.set_bits(INCOMPAT, METABOX_BIT | 4)
    good, evil, mbox, victim = (im.inode(n) for n in ("good", "evil", "mbox", "victim"))
    im.put("Q", METABOX, mbox.nid)
    im.set_digest(victim, sha256(GOOD))
    im.set_layout(victim, CHUNK)
    im.put("I", victim.size_at, 4096)
    im.put("I", victim.u_at, 0x20)
    at = mbox.block * 4096 + 256
    im.write(at, im.data[victim.at:victim.end])
    assert victim.end - victim.at == 88
    im.write(at + 88, struct.pack("<II", 0, evil.block))
    im.write(256 + 88, struct.pack("<II", 0, good.block))
    im.set_digest(mbox, sha256(im.data[mbox.block * 4096:mbox.block * 4096 + 8192]))
    im.put("Q", im.entry("victim")[0], 1 << 63 | 8)
    refuse(im)


def compressed(name, clean):
    """A file without data that says it's compressed is none in an image that is merged with others."""
    tree(f=b"f", empty=b"")
    os.mkfifo(tap.path("tree/fifo"))
    im = make()
    im.set_layout(im.inode(name), FULL)
    im.save(tap.path("forged"))
    must(MKFS, "--quiet", f"--clean={clean}", tap.path("merged"), tap.path("forged"))
    must(FSCK, tap.path("merged"))


def numbers(first, end):
    """Text that LZ4 halves."""
    return b" ".join(b"%x" % (i * i * 2654435761 >> 7 & 0xffff) for i in range(first, end))


def hidden_in_packed():
    """An extent inside of one of the packed inode: what a fragment has depends on what was read before it."""
    tree(f=numbers(0, 40000), victim=numbers(40000, 90000))
    im = make("-zlz4hc", "-C65536", "-Elegacy-compress,all-fragments=65536")
    p = Inode(im, im.get("Q", PACKED))
    first = p.header + 16
    indexes = [struct.unpack_from("<HHHH", im.data, first + 8 * n) for n in range(-(-im.get("Q", p.size_at) // 4096))]
    heads = [n for n, (kind, *_) in enumerate(indexes) if kind & 3 != 2] + [len(indexes)]
    begin, end = max(zip(heads, heads[1:]), key=lambda t: t[1] - t[0])
    assert end - begin > 8
    hidden = begin + 3
    im.write(first + 8 * hidden, struct.pack("<HHHH", 0x8001, 0, *indexes[begin][2:]))
    im.write(first + 8 * (hidden + 1), struct.pack("<HHHH", 2, 0, 0x800 | indexes[begin + 1][2] & 0x7ff, end - hidden - 1))
    for n in range(hidden + 2, end):
        im.write(first + 8 * n, struct.pack("<HHHH", 2, 0, 4 if n == hidden + 4 else n - begin, end - n))
    for args in [], ["--path=/victim"]:
        refuse(im, "another one inside", *args)
    must_fail("another one inside", FSCK, "--extract", tap.path("forged"))


def far_fragments(number):
    """A packed inode that is a hole of more than 2^31 blocks: which of them were read is remembered by number."""
    tree(f=numbers(0, 3000))
    must(MKFS, "--quiet", "-T0", "-b512", "-zdeflate", "-Eall-fragments,force-inode-extended", tap.path("img"), tap.path("tree"))
    im = Image(tap.path("img"))
    p, f = Inode(im, im.get("Q", PACKED)), im.inode("f")
    im.write(p.at, struct.pack("<H", 1))                 # extended and plain
    im.write(p.at + 6, struct.pack("<H", 0xffff))
    im.write(p.at + 8, struct.pack("<Q", (1 << 41) + (1 << 20)))
    im.write(p.at + 16, struct.pack("<I", 0xffffffff))
    im.write(f.header, struct.pack("<Q", 1 << 63 | number * 512))
    im.data += bytes(1 << 20)
    im.put("I", SB + 36, len(im.data) // 512)
    im.save(tap.path("forged"))
    run(FSCK, f"--extract={tap.path('out')}", tap.path("forged"))
    run(DUMP, "--cat", "--path=/f", tap.path("forged"))


def records(*places):
    """An image whose file has records of encoded extents, holes of 2^58 bytes and more, at these places."""
    tree(victim=numbers(0, 50000))      # has room for more of them
    must(MKFS, "--quiet", "-T0", "-zlz4", "-C65536", "-E48bit,force-inode-extended", tap.path("img"), tap.path("tree"))
    im = Image(tap.path("img"))
    victim = im.inode("victim")
    im.put("Q", victim.size_at, 1 << 62)
    im.put("H", victim.header + 4, im.get("H", victim.header + 4) & ~0xe | 3 << 1 | 1)
    im.put("I", victim.header, len(places))
    at = victim.header + 8 + 31 & ~31
    for n, place in enumerate(places):
        im.write(at + 32 * n, struct.pack("<IIIII12x", 0, 0, 0, place & 0xffffffff, place >> 32))
    im.save(tap.path("records"))


def large_hole():
    """Work is bounded by the image, not by the size that a file has."""
    records(0, 1 << 58, 1 << 60)
    must(FSCK, tap.path("records"), cpu=2)


def descending():
    """Who looks for an extent in the middle of these finds another one."""
    records(0, 1 << 60, 1 << 58, 1 << 61)
    must_fail("not in their order|another one inside|corruption", FSCK, tap.path("records"))


def padding():
    """Zeroes before LZ4 data are skipped with LZ4_0PADDING only."""
    tree(victim=b"abc\n" * 5000)
    im = make("-zlz4")
    im.clear_bits(INCOMPAT, 1)
    im.put("H", SB + 84, 65535)
    refuse(im, "0padding")


def extents():
    """What are encoded extents with 48BIT, are indexes of clusters to kernels that don't know them."""
    tree(good=GOOD, evil=EVIL, victim=b"x" * 3500)
    im = make()
    good, evil, victim = (im.inode(n) for n in ("good", "evil", "victim"))
    im.set_layout(victim, FULL)
    im.put("I", victim.size_at, 4096)
    im.write(victim.header, struct.pack("<IHHQ", 1, 1, 0, good.block * 4096))
    # length of the extent, or type and offset of the first cluster; then, the block of the latter
    im.write(victim.header + 16, struct.pack("<II", 4096, evil.block))
    im.set_digest(victim, sha256(GOOD))
    refuse(im, "48bit")


def high_address():
    """Bits of a block address that kernels without 48BIT do not look at."""
    tree(victim=EVIL)
    im = make("-Enoinline_data", "-Eforce-inode-extended", "-b512")
    victim = im.inode("victim")
    im.put("H", victim.at + 6, 1)
    im.save(tap.path("forged"))
    with open(tap.path("forged"), "r+b") as f:
        f.seek((1 << 32 | victim.block) * 512)
        f.write(EVIL)
    must_fail("48 bits", FSCK, "--fingerprint", tap.path("forged"))


def copied():
    """A flat file whose address is that of the blob, and bytes behind the end of the image, which nobody reads."""
    tree(victim=GOOD)
    must(MKFS, "--quiet", "--chunksize=4096", "--blobdev=" + tap.path("blob"), tap.path("img"), tap.path("tree"))
    im = Image(tap.path("img"))
    victim = im.inode("victim")
    im.set_layout(victim, 0)
    im.put("I", victim.u_at, im.get("I", im.get("H", DEVT) * 128 + 68))
    im.data += EVIL
    im.save(tap.path("forged"))
    device = "--device=" + tap.path("blob")
    must(FSCK, device, "--extract=" + tap.path("read"), tap.path("forged"))
    with open(tap.path("read/victim"), "rb") as f:
        if f.read() != GOOD:
            raise Wrong("it is not read from the device")
    must_fail("on device 1", MKFS, "--quiet", "--clean=data", "--fingerprint", device, tap.path("new"), tap.path("forged"))


def shared_directories():
    """Directories that have the same blocks: few bytes with many names."""
    for n in range(300):
        os.makedirs(tap.path(f"tree/d{n}"))
    for n in range(5000):
        os.mknod(tap.path(f"tree/d0/a-name-of-some-length-{n}"))
    im = make("-Enoinline_data")
    large = im.inode("d0")
    for n in range(1, 300):
        inode = im.inode(f"d{n}")
        im.set_layout(inode, large.layout)
        im.put("I", inode.u_at, large.block)
        im.put("I", inode.size_at, large.size)
    im.save(tap.path("forged"))
    for tool, *args in (DUMP, "-S"), (DUMP, "--sharing"), (MKFS, "--quiet", tap.path("new")):
        must_fail("are larger than the image", tool, *args, tap.path("forged"), timeout=20)


def overlapping_xattrs():
    """Shared xattrs whose records overlap have more values than the image has bytes."""
    tree(**{f"f{n}": b"" for n in range(20)})
    for n in range(20):
        os.setxattr(tap.path(f"tree/f{n}"), "user.large", b"v" * 3000)
    im = make("-x1")
    start = im.get("I", XATTR) * im.block
    size = 3000
    shared = [im.inode(f"f{n}") for n in range(20)]
    if any(i.icount != 2 for i in shared):
        raise Wrong("the xattrs are not shared")
    # records of 4 bytes and a name of 1, each within the value of the one before
    step = 16
    for n, inode in enumerate(shared):
        at = start + n * step
        im.write(at, struct.pack("<BBHB", 1, 1, size, 97 + n))
        im.put("I", inode.xattrs + 12, n * step // 4)
    im.save(tap.path("forged"))
    must_fail("are larger than the image", MKFS, "--quiet", tap.path("new"), tap.path("forged"))


tap.check("directories that have the same blocks", shared_directories)
tap.check("shared xattrs that overlap", overlapping_xattrs)
tap.check("encoded extents without 48BIT", extents)
tap.check("block addresses of 48 bits without 48BIT", high_address)
tap.check("a packed inode that has a name", packed)
tap.check("the name of fingerprints begins with a name space", name, b"user." + b"A" * 15)
tap.check("the name of fingerprints has a NUL in it", name, b"A")
tap.check("a table of names in a packed inode without fragments", table)
tap.check("addresses in the range of a device are read from it", ranges, False)
tap.check("addresses in the range of a device, with other contents on the primary one", ranges, True)
tap.check("addresses in the range of a device are not copied from the image", copied)
tap.check("inline data of interlaced inodes", interlaced)
tap.check("inline data that leaves its block", behind_block)
tap.check("chunk indexes in the metabox", metabox)
tap.check("LZ4 data without the feature of padding", padding)
tap.check("a FIFO that says it is compressed", compressed, "fifo", "data")
tap.check("an empty file that says it is compressed", compressed, "empty", "rvsp")
for block in 1 << 31, (1 << 32) - 128:
    tap.check(f"a fragment in block {block} of the packed inode", far_fragments, block)
tap.check("an extent inside of one of the packed inode", hidden_in_packed)
tap.check("encoded extents of exabytes", large_hole)
tap.check("encoded extents in another order", descending)
tap.done()

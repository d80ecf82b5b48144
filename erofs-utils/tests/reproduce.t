#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The same tree gives the same bytes, whatever the umask and whatever is in memory, and times and xattrs
are those of the tree."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from taplib import FSCK, MKFS, Tap, Wrong, compare, must, put, snapshot  # noqa: E402

tap = Tap()
FIXED = ["--quiet", "-T1700000000", "--mkfs-time", "-U12345678-1234-1234-1234-123456789abc"]


def tree():
    for n in range(12):
        put(tap.path(f"tree/d{n % 3}/text{n}"), b"some text, %d times " % n * (n * 300))
        put(tap.path(f"tree/d{n % 3}/random{n}"), bytes((i * i * 7919 >> 5) % 251 for i in range(n * 1111)))
    put(tap.path("tree/hole"), b"")
    os.truncate(tap.path("tree/hole"), 3)


def make(name, *options, umask=0o022, **env):
    p = subprocess.run([MKFS, *FIXED, *options, tap.path(name), tap.path("tree")], umask=umask, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, env=os.environ | env)
    if p.returncode:
        raise Wrong(f"{' '.join(options)}, {env}: exit status {p.returncode}\n{p.stdout.decode()}")
    with open(tap.path(name), "rb") as f:
        return f.read()


def right(name):
    """The image has what the tree has."""
    must(FSCK, f"--extract={tap.path(name + '.out')}", tap.path(name))
    compare(*({k: v for k, v in snapshot(t).items() if k != "."} for t in (tap.path("tree"), tap.path(name + ".out"))))


def same(*options):
    tree()
    want = make("one", *options)
    # What malloc(3) returns is never zero by chance, and nothing stays where it has been freed.
    for n, (umask, perturb) in enumerate(((0o077, ""), (0o022, "85"), (0o027, "170"))):
        if make(f"two{n}", *options, umask=umask, MALLOC_PERTURB_=perturb, TZ="Asia/Tokyo") != want:
            raise Wrong(f"other bytes with umask {umask:o} and MALLOC_PERTURB_={perturb}")
    right("one")


for o in ("", "-zlz4", "-zlz4 -E48bit", "-zlz4 -E48bit,fragments", "-zlz4 -E48bit,ztailpacking", "-zdeflate,1 -m4096", "-zlz4 -m4096 --zD=1",
          "-zlz4 -Efragments", "-zlz4 -Eall-fragments -C65536", "-zlz4 -Ededupe", "-zzstd,3 --max-extent-bytes=4096",
          "-zzstd,3 -Eall-fragments --max-extent-bytes=4096", "--chunksize=4096", "--chunksize=65536 --dsunit=8", "--xattr-prefix=user.a",
          "--dax --fingerprint", "--MZ=id", "-Edot-omitted"):
    tap.check(f"the same bytes, and the right ones: {o or 'plain'}", same, *o.split())


def large_fragments():
    """The first fragment is matched as a whole, whether it has been written by then or not."""
    text = b"".join(b"line %d of something that compresses\n" % (n % 97) for n in range(40000))
    for name in "a", "b":
        put(tap.path("tree/" + name), text)
    for workers in "0", "2":
        got = [make("one", "-zlz4", "-Efragments", "--workers=" + workers) for n in range(8)]
        if len(set(got)) > 1 or len(got[0]) > 16384:
            raise Wrong(f"--workers={workers}: images of {sorted(map(len, got))} bytes")
    right("one")


def whole_files_only():
    """-Efragdedupe=inode leaves equal tails alone, with worker threads, too."""
    for name in "a", "b":
        put(tap.path("tree/" + name), b"".join(b"%s %d\n" % (name.encode(), n) for n in range(2500)) + b"an equal end\n" * 230)
    for workers in "0", "2":
        said = must(MKFS, "-d9", "-zlz4", "-Efragments,fragdedupe=inode", "--workers=" + workers, tap.path("one"), tap.path("tree"))
        if said.count("Discard the sub-inode") != 2:
            raise Wrong("\n".join(line for line in said.split("\n") if "tail" in line))


def with_libdeflate():
    """What fits into a pcluster is guessed from the one before, but not from that of another file."""
    tree()
    for n in range(40):
        put(tap.path(f"tree/more{n}"), b"".join(b"%x " % (i * i * (n + 3) % 65521) for i in range(n * 200)))
    got = [make("one", "-zlibdeflate", "-b512", "-C8192", "--workers=" + workers) for workers in ("0", "1", "3")]
    if len(set(got)) > 1:
        raise Wrong(f"images of {sorted(map(len, got))} bytes")
    right("one")


tap.check("-zlibdeflate with and without worker threads", with_libdeflate)
tap.check("fragments that are larger than what is compared in memory", large_fragments)
tap.check("-Efragdedupe=inode", whole_files_only)


def with_other_holes(*options):
    """What a file system calls a hole isn't part of a tree: cp and tar make others."""
    sizes = (1, 3000, 4096, 100000, 3 << 20)
    got = []
    for name, hole in ("one", True), ("two", False):
        shutil.rmtree(tap.path("tree"), ignore_errors=True)
        for n in sizes:
            for kind, head, tail in ("none", b"", b""), ("head", b"x", b""), ("tail", b"", b"y"):
                path = tap.path(f"tree/{kind}{n}")
                put(path, head if hole else head + bytes(n - len(head) - len(tail)) + tail)
                with open(path, "r+b") as f:
                    f.truncate(n)
                    f.seek(n - len(tail))
                    f.write(tail)
                os.utime(path, (0, 0))
        os.utime(tap.path("tree"), (0, 0))
        got.append(make(name, *options))
        right(name)
    if got[0] != got[1]:
        raise Wrong(f"other bytes without holes: {len(got[0])} and {len(got[1])}")


for o in ("-E48bit", "-m4096 -zlz4", "--chunksize=4096", "--chunksize=65536", "--chunksize=65536 -E^dedupe", "--chunksize=1048576 -E48bit",
          "--chunksize=4096 --fingerprint", "--dax -E48bit", "--dax --fingerprint", ""):
    tap.check(f"with other holes: {o or 'plain'}", with_other_holes, *o.split())


def sparse():
    """Holes are not read, wherever they begin."""
    os.makedirs(tap.path("tree"))
    with open(tap.path("tree/disk"), "wb") as f:
        f.write(bytes(4096))
        f.truncate(1 << 40)
    must(MKFS, "--quiet", "--chunksize=1048576", tap.path("one"), tap.path("tree"), cpu=5)
    must(MKFS, "--quiet", "-E48bit", tap.path("two"), tap.path("tree"), cpu=5)


tap.check("a sparse file of 1 TiB that begins with zeroes", sparse)


def with_xattrs(*options):
    tree()
    for n in range(12):
        path = tap.path(f"tree/d{n % 3}/text{n}")
        os.setxattr(path, "user.shared", b"by all files")
        os.setxattr(path, f"user.own{n}", b"")
    if make("one", *options) != make("two", *options, MALLOC_PERTURB_="85"):
        raise Wrong("other bytes with MALLOC_PERTURB_=85")
    must(FSCK, "--xattrs", "--extract=" + tap.path("out"), tap.path("one"))
    for n in range(12):
        got = sorted(os.listxattr(tap.path(f"out/d{n % 3}/text{n}")))
        if got != sorted(["user.shared", f"user.own{n}"]):
            raise Wrong(f"text{n}: {got}")


def has_xattrs():
    put(tap.path("probe"), b"")
    try:
        os.setxattr(tap.path("probe"), "user.probe", b"")
    except OSError:
        return False
    return True


for o in ("-x0", "-x1", "-x1 -m4096", "-x1 -zlz4 -m4096", "-x0 --xattr-prefix=user.own", "-x1 --fingerprint"):
    if has_xattrs():
        tap.check(f"xattrs: {o}", with_xattrs, *o.split())
    else:
        tap.skip(f"xattrs: {o}", "this file system has none")


def times(epoch, want, *options):
    """WANT is nanoseconds by name, of files that are from 1969, 2001 and 2023."""
    for name, ns in ("1969", -1000000000), ("2001", 1000000000500000000), ("2023", 1700000000000000001):
        put(tap.path("tree/" + name), b"1")
        os.utime(tap.path("tree/" + name), ns=(ns, ns))
    must("env", *([f"SOURCE_DATE_EPOCH={epoch}"] if epoch else []), MKFS, "--quiet", *options, tap.path("img"), tap.path("tree"))
    shutil.rmtree(tap.path("out"), ignore_errors=True)
    must(FSCK, "--extract=" + tap.path("out"), tap.path("img"))
    compare(want, {n: os.lstat(tap.path("out/" + n)).st_mtime_ns for n in want})


def hard_links():
    """Hints are for the same name of a hard link, whichever comes first in its directory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as top:    # which lists the newest name first
        text = b"".join(b"%d\n" % n for n in range(100000))
        images = []
        put(tap.path("hints"), b"16384 so$\n")
        for first, second in ("A.so", "b"), ("b", "A.so"):
            put(f"{top}/{first}/{first}", text)
            os.link(f"{top}/{first}/{first}", f"{top}/{first}/{second}")
            must(MKFS, *FIXED, "--all-time", "-zlz4", "-C65536", "--compress-hints=" + tap.path("hints"), tap.path("linked"),
                 f"{top}/{first}")
            with open(tap.path("linked"), "rb") as f:
                images.append(f.read())
    if images[0] != images[1]:
        raise Wrong("the images differ")


if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK):
    tap.check("compress hints for hard links", hard_links)
else:
    tap.skip("compress hints for hard links", "no /dev/shm")

OWN = {"1969": -1000000000, "2001": 1000000000500000000, "2023": 1700000000000000001}
for o in ("", "-E48bit", "-m4096", "-Edot-omitted", "-Eforce-inode-extended"):
    tap.check(f"times of files {o}", times, None, OWN, *o.split())
    tap.check(f"SOURCE_DATE_EPOCH {o}", times, 1600000000, OWN | {"2023": 1600000000000000000}, *o.split())
    tap.check(f"SOURCE_DATE_EPOCH of 2255 {o}", times, 9000000000, OWN, *o.split())
tap.check("seconds, if that is all that's wanted", times, None, {"2001": 1000000000000000000, "2023": 1700000000000000000},
          "-E48bit", "--ignore-mtime")
tap.done()

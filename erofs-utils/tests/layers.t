#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Archives made by GNU tar and bsdtar in each of their formats, sparse files in each of theirs, and
layers merged: contents are what the maker of the archive packed."""
import contextlib
import gzip
import os
import random
import shutil
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from taplib import FSCK, HERE, MKFS, Tap, Wrong, compare, get, must, must_fail, put, snapshot  # noqa: E402
from tarlib import archive, file, header, num, pad, pax  # noqa: E402

tap = Tap()
OCI = "--oci" in must(MKFS, "--help")


def tree(top, names):
    """Files that each format can hold; NAMES of up to that many bytes."""
    os.makedirs(f"{top}/dir/sub")
    put(f"{top}/a", b"contents of a\n")
    os.link(f"{top}/a", f"{top}/dir/hard")
    os.symlink("../a", f"{top}/dir/soft")
    os.symlink("t" * 99, f"{top}/long-soft")
    put(f"{top}/dir/{'n' * names}", b"long name")
    put(f"{top}/empty", b"")
    put(f"{top}/big", os.urandom(123457))
    if names > 80:
        os.mkfifo(f"{top}/fifo")
    os.chmod(f"{top}/dir/sub", 0o1777)
    os.chmod(f"{top}/a", 0o4711)
    for path, _, files in os.walk(top):
        for name in files:
            os.utime(os.path.join(path, name), (1e9, 1e9), follow_symlinks=False)


def sparse_tree(top):
    put(f"{top}/few", b"", [(100000, b"x" * 5000), (900000, b"end")])
    put(f"{top}/many", b"start", [(i * 20000, b"piece %d" % i) for i in range(1, 60)])
    put(f"{top}/hole", b"")
    os.truncate(f"{top}/hole", 3000000)
    put(f"{top}/tail", b"head")
    os.truncate(f"{top}/tail", 777777)
    put(f"{top}/odd", b"", [(12345, b"y" * 1001), (50001, b"z")])
    put(f"{top}/dense", b"dense" * 1000)


def image_of(src, *options):
    img, out = tap.path("img"), tap.path("out")
    must(MKFS, "--quiet", *options, img, src)
    must(FSCK, img)
    must(FSCK, "--extract=" + out, img)
    return snapshot(out)


def same(make, command, options, times=True):
    top, tar = tap.path("tree"), tap.path("tar")
    make(top)
    must(*command, "-C", top, "-cf", tar, ".")
    want, got = snapshot(top), image_of(tar, "--tar=f", *options)
    # Fractions of seconds are lost in old formats, and directories were changed while they were filled.
    compare(*({k: (v[:-1] if isinstance(v[-1], int) and len(v) > 2 else v) for k, v in t.items() if k != "."}
              for t in (want, got)))
    if times:
        compare(*({k: v[-1] for k, v in t.items() if k in ("a", "big")} for t in (want, got)))


for fmt, names in (("v7", 80), ("ustar", 99), ("oldgnu", 255), ("gnu", 255), ("posix", 255)):
    for options in ((), ("-Enoinline_data", "--sort=none"), ("-zlz4",), ("-E48bit",), ("-b65536",), ("--chunksize=4096",)):
        if options and fmt in ("v7", "oldgnu"):
            continue
        tap.check(f"GNU tar, {fmt} {' '.join(options)}", same, lambda top, n=names: tree(top, n),
                  ["tar", f"--format={fmt}"], options)
for version in ("gnu", "oldgnu", "0.0", "0.1", "1.0"):
    command = ["tar", "--sparse"] + ([f"--format={version}"] if "gnu" in version else
                                     ["--format=posix", f"--sparse-version={version}"])
    for options in ((), ("-zlz4",), ("--chunksize=4096",), ("-E48bit",), ("-Enoinline_data", "--sort=none")):
        tap.check(f"sparse {version} {' '.join(options)}", same, sparse_tree, command, options, times=False)
if shutil.which("bsdtar"):
    for fmt, names in (("ustar", 99), ("pax", 255), ("gnutar", 255)):
        tap.check(f"bsdtar, {fmt}", same, lambda top, n=names: tree(top, n), ["bsdtar", f"--format={fmt}"], ())
    tap.check("bsdtar, sparse", same, sparse_tree, ["bsdtar", "--format=pax"], (), times=False)
else:
    tap.skip("bsdtar", "the package libarchive-tools is not installed")


def layer(sparse, *options):
    """As a layer of a container is: entry "/", whiteouts, sparse files, long paths, gzip; GNU tar says what is in it."""
    top, tar, want = tap.path("tree"), tap.path("tar"), tap.path("want")
    tree(top, 255)
    sparse_tree(top)
    put(f"{top}/{'/'.join(['d' * 200] * 18)}/f", b"deep")
    put(f"{top}/dir/.wh.gone", b"")
    put(f"{top}/dir/sub/.wh..wh..opq", b"")
    must("tar", "-P", *sparse, "--transform=s,^\\.$,/,rSH;s,^\\./,/,rSH", "-C", top, "-czf", tar, "./")
    if "\n/\n" not in "\n" + subprocess.run(["tar", "-Ptzf", tar], stdout=subprocess.PIPE, check=True).stdout.decode():
        raise Wrong("the archive has no entry /")
    os.mkdir(want)
    must("tar", "--numeric-owner", "-C", want, "-xpzf", tar)
    os.unlink(f"{want}/dir/.wh.gone")
    os.unlink(f"{want}/dir/sub/.wh..wh..opq")
    want = snapshot(want)
    got = image_of(tar, "--tar=f", "--aufs", "--ungzip", *options)
    if got.pop("dir/gone")[0::2][:2] != (stat.S_IFCHR, (0, 0)):
        raise Wrong("dir/gone is no whiteout")
    for t in want, got:     # this one is changed by the removal
        del t["."]
        for d in "dir", "dir/sub":
            t[d] = t[d][:-1]
    compare(want, got)


for sparse in ("--format=gnu", "--sparse"), ("--format=posix", "--sparse", "--sparse-version=0.0"), ("--format=posix", "--sparse"):
    for options in (), ("--fingerprint", "-zlz4"):
        tap.check(f"a layer, {' '.join(sparse + options)}", layer, sparse, *options)


def compressed(tool, option):
    top, tar = tap.path("tree"), tap.path("tar")
    tree(top, 99)
    # Sizes around the reader's buffer: the end of the stream has to be found in each place.
    for size in range(0, 3000, 1000):
        put(f"{top}/pad", os.urandom(60000 + size))
        must("tar", "-C", top, "-cf", tar, ".")
        must(tool, "-fk", tar)
        shutil.rmtree(tap.path("out"), ignore_errors=True)
        must(MKFS, "--quiet", "--tar=f", option, tap.path("img"), tar + (".gz" if tool == "gzip" else ".xz"))
        must(FSCK, "--extract=" + tap.path("out"), tap.path("img"))
        with open(f"{top}/pad", "rb") as a, open(tap.path("out/pad"), "rb") as b:
            if a.read() != b.read():
                raise Wrong(f"wrong contents, {size}")


tap.check("gzip", compressed, "gzip", "--ungzip")
tap.check("xz", compressed, "xz", "--unxz")


# --- sparse files that lie
def bad_sparse(regex, *parts, options=("--tar=f",)):
    tar = tap.path("tar")
    put(tar, archive(*parts))
    p = subprocess.run([MKFS, "--quiet", *options, tap.path("img"), tar], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = p.stdout.decode(errors="replace")
    if p.returncode != 1 or regex not in said or os.path.exists(tap.path("img")):
        raise Wrong(f"exit status {p.returncode}\n{said}")


def gnu_sparse(entries, realsize, data=b"x" * 512, extended=0, more=b""):
    tail = b"\0" * 41 + b"".join(num(o, 12) + num(n, 12) for o, n in entries).ljust(96, b"\0")
    tail += bytes([extended]) + num(realsize, 12)
    return header("s", type=b"S", size=len(data), magic=b"ustar  \0", tail=tail) + more + pad(data)


FIT, SPARSE = "does not fit", [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "s")]
for name, part in (("extent behind the end", gnu_sparse([(1000, 512)], 1200)),
                   ("map is larger than the data", gnu_sparse([(0, 600)], 9999)),
                   ("map is smaller than the data", gnu_sparse([(0, 100)], 9999)),
                   ("offset overflows", gnu_sparse([(b"\x80\0\0\0\x7f" + b"\xff" * 7, 512)], 9999)),
                   ("no size", pax([("GNU.sparse.map", "0,512")]) + file("s", b"x" * 512))):
    tap.check(f"sparse: {name}", bad_sparse, FIT, part)
tap.check("sparse: extents overlap", bad_sparse, "not in order", gnu_sparse([(0, 256), (100, 256)], 9999))
tap.check("sparse: negative offset", bad_sparse, "out of range", gnu_sparse([(b"\xff" * 12, 512)], 9999))
tap.check("sparse: no end of the map", bad_sparse, "sparse", pax(SPARSE + [("GNU.sparse.realsize", "9999")]) + file("s", b"1" * 512))
tap.check("sparse: map of 2^62 entries", bad_sparse, "tar:", pax(SPARSE + [("GNU.sparse.realsize", "9999")]) +
          file("s", b"4611686018427387904\n0\n" + b"1" * 490))
tap.check("sparse: extended header that is not there", bad_sparse, "tar:", gnu_sparse([(0, 1)] * 4, 9999, extended=1, data=b""))
tap.check("sparse files can't be indexed", bad_sparse, "use --tar=f", gnu_sparse([(0, 512)], 9999), options=("--tar=i",))


# --- layers
def extracted(*options):
    """The extracted tree of the image "img": {name: contents, or None}."""
    must(FSCK, "--extract=" + tap.path("out"), *options, tap.path("img"))
    got = {}
    for path, dirs, files in os.walk(tap.path("out")):
        for name in dirs + files:
            full = os.path.join(path, name)
            got[os.path.relpath(full, tap.path("out"))] = open(full, "rb").read() if os.path.isfile(full) else None
    shutil.rmtree(tap.path("out"))
    return got


@contextlib.contextmanager
def registry(tars):
    """An image of these layers in a registry of this machine: its name."""
    server = subprocess.Popen([sys.executable, os.path.join(HERE, "registry.py"), "layers", *tars], stdout=subprocess.PIPE)
    try:
        yield f"127.0.0.1:{server.stdout.readline().decode().strip()}/repo/img:tag"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def from_registry(want, *layers):
    """Layers from the lowest; each is a list of parts of an archive, with whiteouts as AUFS has them."""
    tars = []
    for n, parts in enumerate(layers):
        tars.append(tap.path(f"tar{n}"))
        put(tars[-1], archive(*parts))
    with registry(tars) as name:
        must(MKFS, "--quiet", "--oci=f,insecure", tap.path("img"), name)
    compare(want, extracted())


def merged(want, *layers):
    """They are made one tree from images and, where mkfs.erofs can, from a registry."""
    if OCI:
        from_registry(want, *layers)
        os.unlink(tap.path("img"))
    images = []
    for n, parts in enumerate(layers):
        put(tap.path("tar"), archive(*parts))
        images.append(tap.path(f"layer{n}"))
        must(MKFS, "--quiet", "--tar=f", "--aufs", "-Enoinline_data", images[-1], tap.path("tar"))
    must(MKFS, "--quiet", "--ovlfs-strip=1", tap.path("img"), *images)
    compare(want, extracted(*(f"--device={i}" for i in images)))


D = header("d", type=b"5", mode=0o755)
tap.check("whiteout of a directory, then the directory again", merged, {"d": None, "d/new": b"2"},
          [D, file("d/old", b"1")], [file(".wh.d")], [D, file("d/new", b"2")])
tap.check("a file in the place of a directory, then the directory again", merged, {"d": None, "d/new": b"2"},
          [D, file("d/old", b"1")], [file("d", b"file")], [D, file("d/new", b"2")])
tap.check("opaque directory", merged, {"d": None, "d/new": b"2"},
          [D, file("d/old", b"1")], [D, file("d/.wh..wh..opq"), file("d/new", b"2")])
tap.check("opaque directory in the middle", merged, {"d": None, "d/mid": b"m", "d/new": b"2"},
          [D, file("d/old", b"1")], [D, file("d/.wh..wh..opq"), file("d/mid", b"m")], [D, file("d/new", b"2")])
tap.check("whiteout, then a file of that name", merged, {"f": b"2"}, [file("f", b"1")], [file(".wh.f")], [file("f", b"2")])
tap.check("whiteout of the directory before it in one layer", merged, {"d": None, "d/new": b"2"},
          [D, file("d/old", b"1")], [file(".wh.d"), D, file("d/new", b"2")])
tap.check("and behind it", merged, {"d": None, "d/new": b"2"},
          [D, file("d/old", b"1")], [D, file("d/new", b"2"), file(".wh.d")])
tap.check("and before what is in it, with no entry for it", merged, {"d": None, "d/new": b"2"},
          [D, file("d/old", b"1")], [file(".wh.d"), file("d/new", b"2")])
tap.check("opaque mark behind what is in a directory", merged, {"d": None, "d/e": None, "d/e/new": b"2"},
          [D, file("d/old", b"1"), header("d/e", type=b"5", mode=0o755), file("d/e/old", b"1")],
          [D, file("d/e/new", b"2"), file("d/.wh..wh..opq")])
tap.check("opaque root", merged, {"f": b"2"}, [D, file("d/old", b"1"), file("g", b"1")], [file("f", b"2"), file(".wh..wh..opq")])
tap.check("whiteout beside the file", merged, {"f": b"2"}, [file("f", b"1")], [file("f", b"2"), file(".wh.f")])
tap.check("whiteout of one of two links", merged, {"g": b"1"}, [file("f", b"1"), header("g", type=b"1", link="f")], [file(".wh.f")])
tap.check("whiteout of what isn't there", merged, {"f": b"1"}, [file("f", b"1")], [file(".wh.g")])
tap.check("whiteouts of many names", merged, {"f0": b""}, [file(f"f{n}") for n in range(200)], [file(f".wh.f{n}") for n in range(1, 200)])
tap.check("a directory in the place of a file, and back", merged, {"d": b"2"},
          [file("d", b"1")], [file(".wh.d"), D, file("d/new", b"2")], [file(".wh.d"), file("d", b"2")])


def attributes_are_replaced():
    """A directory that several layers have has the extended attributes of the last one."""
    tars = [tap.path(n) for n in ("tar0", "tar1")]
    put(tars[0], archive(pax([("SCHILY.xattr.user.a", "1")]), D))
    put(tars[1], archive(pax([("SCHILY.xattr.user.b", "2")]), D))
    with registry(tars) as name:
        must(MKFS, "--quiet", "--oci=f,insecure", tap.path("img"), name)
    image = get(tap.path("img"))
    if b"a1" in image or b"b2" not in image:
        raise Wrong("d has an attribute of the lower layer, or not that of the upper one")


if OCI:
    tap.check("extended attributes of a directory of two layers", attributes_are_replaced)
    tap.check("a link to what the layer hides at the same time", from_registry, {"g": b"1"},
              [file("f", b"1")], [header("g", type=b"1", link="f"), file(".wh.f")])
tap.check("directories are merged", merged, {"d": None, "d/a": b"1", "d/b": b"2"}, [D, file("d/a", b"1")], [D, file("d/b", b"2")])


def merged_hole():
    put(tap.path("src/f"), b"", [(5 << 20, b"end of a sparse file")])
    os.utime(tap.path("src/f"), (1e9, 1e9))
    os.makedirs(tap.path("other"))
    must(MKFS, "--quiet", "--chunksize=65536", tap.path("one"), tap.path("src"))
    must(MKFS, "--quiet", tap.path("two"), tap.path("other"))
    must(MKFS, "--quiet", tap.path("img"), tap.path("two"), tap.path("one"))
    must(FSCK, "--extract=" + tap.path("out"), "--device=" + tap.path("two"), "--device=" + tap.path("one"), tap.path("img"))
    compare({"f": snapshot(tap.path("src"))["f"]}, {"f": snapshot(tap.path("out"))["f"]})


tap.check("holes of merged images stay holes", merged_hole)


# --- compressed archives
def zipped():
    """100 files, of which 16 fill 32 KiB of the archive."""
    rnd = random.Random(1)
    plain = archive(*(file(f"f{n:03}", rnd.randbytes(1536)) for n in range(100)))
    put(tap.path("plain"), plain)
    put(tap.path("gz"), gzip.compress(plain, mtime=0))
    return plain


def cut_off(option, cut):
    zipped()
    put(tap.path("cut"), get(tap.path("gz"))[:-cut])
    must_fail("cut off|unexpected end", MKFS, "--quiet", "--tar=f", option, tap.path("img"), tap.path("cut"))
    if os.path.exists(tap.path("img")):
        raise Wrong("there is an output file")


def dumped(*options, pipe=False):
    plain, args = zipped(), [MKFS, "--quiet", "--tar=i", *(o.replace("@", tap.path("")) for o in options), tap.path("img")]
    with open(tap.path("gz"), "rb") as f:
        must(*args, *([] if pipe else [tap.path("gz")]), stdin=f)
    if get(tap.path("raw"))[:len(plain)] != plain:
        raise Wrong("the dump isn't the archive")
    if any("gzinfo" in o for o in options) and not os.path.getsize(tap.path("index")):
        raise Wrong("the index is empty")
    must(FSCK, "--extract", "--device=" + tap.path("raw"), tap.path("img"))


for cut in 1, 8, 100, 20000, 100000:
    for option in "--gzinfo", "--ungzip":
        tap.check(f"{option}: an archive without its last {cut} bytes", cut_off, option, cut)
for pipe in False, True:
    for options in ("--ungzip=@raw",), ("--ungzip=@raw", "--gzinfo=@index"), ("--gzinfo=@index", "--ungzip=@raw"):
        tap.check(f"{' '.join(options)} {'from a pipe' if pipe else 'of a file'}", dumped, *options, pipe=pipe)
tap.check("--unxz beside --gzinfo", must_fail, "can't be used together", MKFS, "--tar=f", "--gzinfo", "--unxz", tap.path("img"), "nothing")
tap.done()

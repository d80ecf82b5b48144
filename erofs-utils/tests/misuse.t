#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Slips of the command line, signals, limits and full disks: one clear error, nothing lost, nothing left."""
import gzip
import os
import resource
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from taplib import FSCK, MKFS, Tap, Wrong, must, must_fail, put, run  # noqa: E402
from tarlib import archive, file  # noqa: E402

tap = Tap()


def get(path):
    with open(path, "rb") as f:
        return f.read()


def sources():
    """A directory, an archive, the same compressed, an index and an image."""
    for n in range(8):
        put(tap.path(f"dir/f{n}"), os.urandom(30000))
    data = archive(*[file(f"f{n}", get(tap.path(f"dir/f{n}"))) for n in range(8)])
    put(tap.path("tar"), data)
    put(tap.path("tgz"), gzip.compress(data))
    put(tap.path("hints"), b"4096 .*\n")
    must(MKFS, "--quiet", tap.path("img"), tap.path("dir"))


# --- one file for two things
def one_file(regex, *args):
    """NAME@ in an argument is a path in the scratch directory; nothing of what is there may change."""
    sources()
    os.symlink("tar", tap.path("link"))
    before = {n: get(tap.path(n)) for n in os.listdir(tap.scratch) if n != "dir"}
    must_fail(regex, MKFS, "--quiet", *[a.replace("@", tap.scratch + "/") for a in args])
    after = {n: get(tap.path(n)) for n in os.listdir(tap.scratch) if n != "dir"}
    if after != before:
        raise Wrong(f"changed: {[n for n in after.keys() | before.keys() if after.get(n) != before.get(n)]}")


for args in (("--tar=f", "@tar", "@tar"), ("--tar=f", "@link", "@./tar"), ("@img", "@img"), ("--clean=data", "@img", "@img"),
             ("--chunksize=4096", "--blobdev=@new", "@new", "@dir"), ("--tar=f", "--ungzip=@tgz", "@new", "@tgz"),
             ("--tar=f", "--ungzip=@new", "@new", "@tgz"), ("--tar=i,@new", "@new", "@tar"), ("--tar=f", "--gzinfo=@new", "@new", "@tgz"),
             ("--vmdk-desc=@new", "@./new", "@dir"), ("--tar=f", "--vmdk-desc=@tar", "@new", "@tar"),
             ("-zlz4", "--compress-hints=@hints", "@hints", "@dir"), ("--device=@tar", "@tar", "@img")):
    tap.check("one file for two things: " + " ".join(args).replace("@", ""), one_file, "at the same time", *args)


# --- options
def option(regex, source, *args):
    sources()
    must_fail(regex, MKFS, "--quiet", *args, tap.path("new"), tap.path(source))
    if os.path.exists(tap.path("new")):
        raise Wrong("there is an output file")


TAR = "--tar=f"
for regex, source, *args in (("power of two", "dir", "-b5000"), ("power of two", "dir", "--chunksize=-4096"),
                             ("invalid uid", "dir", "--force-uid=4294967300"), ("invalid gid", "dir", "--force-gid=x"),
                             ("invalid uid offset", "dir", "--uid-offset=99999999999"), ("invalid --tar=x", "tar", "--tar=x"),
                             ("invalid --sort=x", "tar", TAR, "--sort=x"), ("invalid --ovlfs-strip=yes", "dir", "--ovlfs-strip=yes"),
                             ("too long", "dir", "-zlz4," + "a" * 60 + ",b"), ("exclude", "dir", "--exclude-regex=("),
                             ("leave the files out", "tar", TAR, "--exclude-path=f1"), ("leave the files out", "img", "--exclude-regex=f.*"),
                             ("with a directory", "tar", TAR, "--hard-dereference"), ("with a directory", "tar", TAR, "-x-1"),
                             ("needs -b512", "tar", "--tar=i", "-b4096"), ("leave -b out", "img", "-b1024")):
    tap.check("refused: " + " ".join(args)[:40], option, regex, source, *args)


def long_path(*options):
    """A directory with a path near PATH_MAX has a long name, which is behind PATH_MAX."""
    top = tap.path("dir")
    os.makedirs(top)
    here, n = os.getcwd(), len(os.path.realpath(top))
    try:
        os.chdir(top)
        while n < 4089:
            name = "d" * min(200, 4089 - n - 1)
            os.mkdir(name)
            os.chdir(name)
            n += len(name) + 1
        with open("n" * 255, "wb"):
            pass
    finally:
        os.chdir(here)
    must_fail("too long", MKFS, "--quiet", *options, tap.path("new"), top)


for o in "", "-x-1", "-x-1 --exclude-path=x":
    tap.check(f"a path over PATH_MAX {o}", long_path, *o.split())


# --- signals and limits
def big_tree():
    for n in range(4):
        put(tap.path(f"dir/f{n}"), os.urandom(20 << 20))
    with open(tap.path("tar"), "wb") as f:
        subprocess.run(["tar", "-C", tap.path("dir"), "-cf", "-", "."], stdout=f, check=True)


def killed(sig, *args, there=False):
    big_tree()
    img = tap.path("img")
    if there:
        put(img, b"what was there")
    p = subprocess.Popen([MKFS, "--quiet", *args[:-1], img, tap.path(args[-1])], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while p.poll() is None and (not os.path.exists(img) or os.stat(img).st_blocks < 100):
        time.sleep(0.001)
    p.send_signal(sig)
    if p.wait(20) == 0:
        raise Wrong("mkfs.erofs was faster than the signal")
    if p.returncode != -sig:
        raise Wrong(f"status {p.returncode}, wanted {-sig}")
    if os.path.exists(img) != there or there and os.path.getsize(img):
        raise Wrong(f"an output file of {os.path.getsize(img)} bytes is left" if os.path.exists(img) else "the output file is gone")


for sig in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
    tap.check(f"{sig.name}, directory", killed, sig, "dir")
    tap.check(f"{sig.name}, tarball", killed, sig, "--tar=f", "tar")
tap.check("SIGTERM, a file that was there", killed, signal.SIGTERM, "--tar=f", "tar", there=True)


def limited(limit, rc, *args):
    """ulimit -f, with nobody to ignore SIGXFSZ."""
    sources()

    def lower():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    p = subprocess.run([MKFS, "--quiet", *args[:-1], tap.path("new"), tap.path(args[-1])], preexec_fn=lower,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = p.stdout.decode()
    if p.returncode != rc or (rc and not said):
        raise Wrong(f"exit status {p.returncode}, wanted {rc}\n{said}")
    if os.path.exists(tap.path("new")) == bool(rc):
        raise Wrong("an output file is left" if rc else "there is no output file")
    if said.count("failed to write: ") > 3:
        raise Wrong(f"{said.count('failed to write: ')} times the same error")


for args in ("--tar=f", "tar"), ("dir",), ("-zlz4", "dir"):
    tap.check("a limit of 1 MiB, " + " ".join(args), limited, 1 << 20, 0, *args)
    tap.check("a limit of 100 KiB, " + " ".join(args), limited, 100 << 10, 1, *args)


def one_error():
    """A full disk is not told for each of thousands of pclusters."""
    put(tap.path("dir/f"), b"".join(b"%d " % n for n in range(2000000)))
    p = subprocess.run([MKFS, "--quiet", "-zlz4", tap.path("new"), tap.path("dir")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
    if p.returncode != 1 or p.stdout.count(b"\n") > 10:
        raise Wrong(f"exit status {p.returncode}, {p.stdout.count(10)} lines of errors")


tap.check("a full disk is an error, and not thousands", one_error)


def raw_stream():
    sources()
    must_fail("No space", MKFS, "--quiet", "--tar=f", "--ungzip=/dev/full", tap.path("new"), tap.path("tgz"))
    must(MKFS, "--quiet", "--tar=i", "--ungzip=" + tap.path("raw"), tap.path("new"), tap.path("tgz"))
    if get(tap.path("raw")) != get(tap.path("tar")):
        raise Wrong("the stream that was dumped is another one")


tap.check("a raw stream that can't be dumped", raw_stream)


# --- standard streams and existing files
def closed_stderr():
    sources()
    rc, said = run("sh", "-c", 'exec "$0" -d9 "$1" "$2" 2>&-', MKFS, tap.path("new"), tap.path("dir"))
    if rc:
        raise Wrong(f"exit status {rc}\n{said}")
    must(FSCK, "--extract=" + tap.path("out"), tap.path("new"))
    for n in range(8):
        if get(tap.path(f"out/f{n}")) != get(tap.path(f"dir/f{n}")):
            raise Wrong(f"f{n} has other contents")


def closed_stdin():
    rc, said = run("sh", "-c", 'exec "$0" --tar=f "$1" <&-', MKFS, tap.path("new"))
    if rc != 1 or os.path.exists(tap.path("new")):
        raise Wrong(f"exit status {rc}\n{said}")


tap.check("standard error is closed", closed_stderr)
tap.check("standard input is closed", closed_stdin)


def existing():
    sources()
    put(tap.path("old"), b"old image" * 1000)
    os.chmod(tap.path("old"), 0o600)
    os.link(tap.path("old"), tap.path("name"))
    os.symlink("old", tap.path("link"))
    must(MKFS, "--quiet", tap.path("link"), tap.path("dir"))
    must(FSCK, tap.path("name"))
    if not os.path.islink(tap.path("link")):
        raise Wrong("the symlink has been replaced")
    os.unlink(tap.path("name"))
    must(MKFS, "--quiet", tap.path("old"), tap.path("dir"))
    if os.stat(tap.path("old")).st_mode & 0o777 != 0o600:
        raise Wrong(f"mode {os.stat(tap.path('old')).st_mode & 0o777:o}")


tap.check("an output file that is there keeps its mode and its names", existing)


def last_is_known(*options):
    for n in "ab":
        put(tap.path("dir/" + n), b"".join(b"%d " % i for i in range(14000)))
    must(MKFS, "--quiet", "--chunksize=65536", "--dsunit=8", *options, tap.path("new"), tap.path("dir"))
    must(FSCK, "--extract=" + tap.path("out"), tap.path("new"))
    if get(tap.path("out/b")) != get(tap.path("dir/b")):
        raise Wrong("b has other contents")


tap.check("chunks, and the last file is a duplicate", last_is_known)


def no_deadlock():
    """A job fails while others wait for the compressor: about one run in three did not end."""
    for n in range(60):
        put(tap.path(f"dir/d{n % 6}/f{n}"), b"".join(b"%d " % (i * n) for i in range(3000)))
    for n in range(15):
        limit = 30000 + 20000 * n
        p = subprocess.run([MKFS, "-d9", "--workers=0", "-zlz4", tap.path("new"), tap.path("dir")], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=30,
                           preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        if p.returncode not in (0, 1):
            raise Wrong(f"exit status {p.returncode}")


tap.check("a failure while others wait for the compressor", no_deadlock)
tap.done()

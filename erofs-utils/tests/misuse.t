#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Slips of the command line, signals, limits and full disks: one clear error, nothing lost, nothing left."""
import contextlib
import fcntl
import gzip
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from taplib import DUMP, FSCK, MKFS, Tap, Wrong, get, must, must_fail, put, run  # noqa: E402
from tarlib import archive, file  # noqa: E402

tap = Tap()


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
                             ("no map of an image", "tar", "--tar=f,/nowhere/x"),
                             ("invalid --sort=x", "tar", TAR, "--sort=x"), ("invalid --ovlfs-strip=yes", "dir", "--ovlfs-strip=yes"),
                             ("too long", "dir", "-zlz4," + "a" * 60 + ",b"), ("exclude", "dir", "--exclude-regex=("),
                             ("leave the files out", "tar", TAR, "--exclude-path=f1"), ("leave the files out", "img", "--exclude-regex=f.*"),
                             ("use --MZ=i", "dir", "-m4096", "--MZ"), ("use --MZ=i", "dir", "-zlz4", "-m4096", "--MZ=id")):
    tap.check("refused: " + " ".join(args)[:40], option, regex, source, *args)


def other_tools():
    sources()
    must(MKFS, "--quiet", "-m4096", tap.path("box"), tap.path("dir"))
    for regex, *args in (("invalid NID", FSCK, "--nid=abc"), ("invalid NID", FSCK, "--nid="), ("invalid NID", FSCK, "--nid=-1"),
                         ("debug level", FSCK, "-dx"), ("invalid NID", DUMP, "--nid="), ("needs --nid", DUMP, "--ls")):
        must_fail(regex, *args, tap.path("box"))
    for offset in "", "-1", "-4096", "1" * 20, "5k":
        for tool in FSCK, DUMP:
            must_fail("invalid disk offset", tool, "--offset=" + offset, tap.path("box"))
    must_fail("invalid NID", DUMP, "--nid=-1", tap.path("box"))
    nid = re.search(r"NID: (\d+)", must(DUMP, "--path=/f3", tap.path("box")))[1]
    must(FSCK, "--nid=" + nid, "--extract=" + tap.path("out"), tap.path("box"))
    if not int(nid) >> 63 or get(tap.path("out")) != get(tap.path("dir/f3")):
        raise Wrong(f"{nid} is another inode")


tap.check("slips of fsck.erofs and dump.erofs, and a NID of the metabox", other_tools)


BIG = "4294967296"
for regex, *args in (("physical clustersize", "-zlz4", "-C4g"), ("physical clustersize", "-zlz4", "-C4294971392"),
                     ("physical clustersize", "-zlz4", "-C9999999999g"), ("for the packed file", "-zlz4", "-Efragments=4g"),
                     ("metabox option", "-zlz4", "-m4g"), ("metabox option", "-zlz4", "-m4096:300"),
                     ("no algorithm 1", "-zlz4", "-m4096:1"), ("dsunit", "--dsunit=" + BIG), ("dsunit", "--dsunit=-1"),
                     ("fsalignblks", "--fsalignblks=" + BIG), ("fsalignblks", "--fsalignblks=4000000000"),
                     ("worker number", "--workers=" + BIG), ("worker number", "--workers="),
                     ("async-queue-limit", "--async-queue-limit=" + BIG), ("async-queue-limit", "--async-queue-limit=3"),
                     ("inline xattr size", "--root-xattr-isize=" + BIG),
                     ("debug level", "-dx"), ("debug level", "-d10")):
    tap.check("refused: " + " ".join(args)[:40], option, regex, "dir", *args)


def hints(line, regex=None, *options):
    """One line of compress hints: it's refused, or the image has what was packed."""
    sources()
    put(tap.path("dir/text"), b"".join(b"%d " % n for n in range(600000)))
    put(tap.path("hints"), line)
    args = [MKFS, "--quiet", "-zlz4:deflate", *options, "--compress-hints=" + tap.path("hints"), tap.path("new"), tap.path("dir")]
    if regex:
        must_fail(regex, *args)
        return
    must(*args)
    must(FSCK, "--extract=" + tap.path("out"), tap.path("new"))
    if get(tap.path("out/text")) != get(tap.path("dir/text")):
        raise Wrong("other contents")
    return must(DUMP, "-e", "--path=/text", tap.path("new"))


def hint_size(line, size, *options):
    said = hints(line, None, *options)
    if not re.search(rf"^ +0: .* \| +{size}$", said, re.M):
        raise Wrong(said)


for line, regex in ((b"4096 (\n", "match pattern at line 1"), (b"x text\n", 'clustersize "x" at line 1'),
                    (b"#\n4k text\n", 'clustersize "4k" at line 2'), (b"-4096 text\n", "clustersize"),
                    (b"4096 with space\n", 'configuration "with" at line 1'), (b"4096 2 text\n", 'configuration "2" at line 1'),
                    (b"4096\n", "match pattern at line 1")):
    tap.check(f"a compress hint that is refused: {line!r}", hints, line, regex)
tap.check("compress hints: empty lines", hints, b"\n \t \n  ")
tap.check("compress hints: another algorithm", hint_size, b"16384 1 ^text$\n", 16384)
tap.check("compress hints: pclusters of 256 blocks", hint_size, b"1048576 text\n", 1048576)
tap.check("compress hints: -C of 256 blocks beside them", hint_size, b"4096 f1\n", 1048576, "-C1048576")
tap.check("compress hints: pclusters of 376 blocks", hint_size, b"192512 text\n", 192512, "-b512")


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


def begun(img, *command, **kw):
    """Start mkfs.erofs as @command says; it has written a part of @img, unless it is done."""
    p = subprocess.Popen(command, **kw)
    while p.poll() is None and (not os.path.exists(img) or os.stat(img).st_blocks < 100):
        time.sleep(0.001)
    return p


def killed(sig, *args, there=False):
    big_tree()
    img = tap.path("img")
    if there:
        put(img, b"what was there")
    # who started the tests, nohup(1) for example, can have signals ignored
    p = begun(img, "env", "--default-signal", MKFS, "--quiet", *args[:-1], img, tap.path(args[-1]),
              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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


def killed_often():
    """Other threads write while a signal is handled: about one run in six left something."""
    big_tree()
    img = tap.path("img")
    put(tap.path("small/f"), b"what is there")
    must(MKFS, "--quiet", tap.path("base"), tap.path("small"))
    for n in range(24):
        options = (["--incremental=data"], ["--fingerprint"], [], ["-zlz4"])[n % 4]
        was = get(tap.path("base")) if n % 4 == 0 else b""
        put(img, was or b"was")
        p = begun(img, "env", "--default-signal", MKFS, "--quiet", *options, img, tap.path("dir"), stdout=subprocess.DEVNULL,
                  stderr=subprocess.DEVNULL)
        time.sleep(n % 5 / 200)
        p.send_signal(signal.SIGTERM)
        if p.wait(20) and get(img) != was:
            raise Wrong(f"{options}: {os.path.getsize(img)} bytes, {len(was)} wanted")


tap.check("SIGTERM, a file that was there, often", killed_often)


def replaced(make):
    """A file that is replaced between when it's looked at and when it's opened."""
    for n in range(8):
        put(tap.path(f"dir/f{n}"), os.urandom(20 << 20))
    put(tap.path("dir/z"), b"harmless contents")
    put(tap.path("secret"), b"secret" * 10)
    img = tap.path("img")
    p = begun(img, MKFS, "--quiet", "--async-queue-limit=1", img, tap.path("dir"), stdout=subprocess.DEVNULL,
              stderr=subprocess.PIPE)
    os.unlink(tap.path("dir/z"))
    make(tap.path("dir/z"))
    try:
        said = p.communicate(timeout=20)[1]
    except subprocess.TimeoutExpired:
        p.kill()
        raise Wrong("mkfs.erofs waits for the fifo") from None
    if p.returncode != 1 or b"regular file" not in said or os.path.exists(img):
        raise Wrong(f"exit status {p.returncode}, {said}")


tap.check("a file that becomes a symlink", replaced, lambda path: os.symlink("../secret", path))
tap.check("a file that becomes a fifo", replaced, os.mkfifo)


def directory_replaced(where):
    """A directory that is replaced by a symlink, before it's read (if the large files are elsewhere) or after that."""
    for n in range(8):
        put(tap.path(f"dir/{where}f{n}"), os.urandom(20 << 20))
    put(tap.path("dir/z/zz"), b"harmless")
    shutil.copytree(tap.path("dir/z"), tap.path("outside"))
    put(tap.path("outside/zz"), b"secret!!")
    img = tap.path("img")
    p = begun(img, MKFS, "--quiet", "--async-queue-limit=1", img, tap.path("dir"), stdout=subprocess.DEVNULL,
              stderr=subprocess.PIPE)
    os.rename(tap.path("dir/z"), tap.path("was"))
    os.symlink("../outside", tap.path("dir/z"))
    said = p.communicate(timeout=60)[1]
    if p.returncode == 0:
        # a directory that was opened before is the right one
        found = must(DUMP, "--cat", "--path=/z/zz", img)
        if found != "harmless" or not where:
            raise Wrong("the image has " + found)
    elif b"/z" not in said or os.path.exists(img):
        raise Wrong(f"exit status {p.returncode}, {said}")


tap.check("a directory that becomes a symlink before it's read", directory_replaced, "")
tap.check("a directory of files that becomes a symlink", directory_replaced, "z/")


def symlinks():
    """The length that is told before is not that of the target in /proc, and 0 in /sys."""
    # of a process that opens and closes nothing meanwhile
    with subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE) as p:
        try:
            symlinks_of(f"/proc/{p.pid}/fd")
        finally:
            p.kill()
    symlinks_of("/sys/class/bdi")


def symlinks_of(source):
    want = {n: os.readlink(source + "/" + n) for n in os.listdir(source) if os.path.islink(source + "/" + n)}
    must(MKFS, "--quiet", tap.path("img"), source)
    must(FSCK, "--extract=" + tap.path("out"), "--overwrite", tap.path("img"))
    for name, target in want.items():
        path = tap.path("out/" + name)
        if os.path.islink(path) and os.readlink(path) != target:
            raise Wrong(f"{name}: {os.readlink(path)}, not {target}")
    if not set(want) & set(os.listdir(tap.path("out"))):
        raise Wrong(f"none of the symlinks in {source} is there")
    shutil.rmtree(tap.path("out"))


tap.check("symlinks whose length isn't known before", symlinks)


def wrapped():
    """Who starts mkfs.erofs may hold the lock that udev looks at."""
    sources()
    must("flock", tap.path("img"), MKFS, "--quiet", tap.path("img"), tap.path("dir"))
    must(FSCK, tap.path("img"))


if shutil.which("flock"):
    tap.check("started by flock(1)", wrapped)
else:
    tap.skip("started by flock(1)", "no flock")


def both_at_once():
    """The second one is refused, and the image is that of the first one."""
    big_tree()
    put(tap.path("other/f"), b"x" * 100000)
    img = tap.path("img")
    p = begun(img, MKFS, "--quiet", "--fingerprint", img, tap.path("dir"))
    # a machine that has much else to do must not let it end first
    p.send_signal(signal.SIGSTOP)
    try:
        must_fail("another process", MKFS, "--quiet", "--fingerprint", img, tap.path("other"))
    finally:
        p.send_signal(signal.SIGCONT)
    if p.wait(60):
        raise Wrong(f"exit status {p.returncode}")
    must(FSCK, "--fingerprint", img)


tap.check("two write one image at the same time", both_at_once)


@contextlib.contextmanager
def written(path):
    """As if another mkfs.erofs wrote that file."""
    with open(path, "r+b") as f:
        fcntl.fcntl(f, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        yield


def beside(*args):
    """What somebody else writes beside his image stays as it is."""
    sources()
    path = args[-1].rpartition("=")[2].rpartition(",")[2]
    put(path, b"his")
    with written(path):
        must_fail(path + " is being written by another process", MKFS, "--quiet", *args, tap.path("img"),
                  tap.path("dir" if "--chunksize=4096" in args else "tgz"))
    if get(path) != b"his":
        raise Wrong(f"{path} has {get(path)}")


def own_files():
    """What has been made for an image that somebody else writes goes."""
    sources()
    with written(tap.path("img")):
        must_fail("img is being written by another process", MKFS, "--quiet", "--tar=i", "--ungzip=" + tap.path("r"),
                  "--vmdk-desc=" + tap.path("v"), tap.path("img"), tap.path("tgz"))
    for name in "r", "v":
        if os.path.lexists(tap.path(name)):
            raise Wrong(f"{name} is left")


def made_meanwhile():
    """What wasn't there when mkfs.erofs started, and isn't from there, stays if it fails."""
    with subprocess.Popen([MKFS, "--quiet", "--tar=f", "--ungzip", "--gzinfo=" + tap.path("his"), tap.path("img")], stdin=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as p:
        while not os.path.exists(tap.path("img")):
            time.sleep(0.01)
        put(tap.path("his"), b"his")
        p.stdin.write(b"no archive")
        p.stdin.close()
        if not p.wait(60) or get(tap.path("his")) != b"his":
            raise Wrong(f"exit status {p.returncode}")


tap.check("what others make meanwhile stays", made_meanwhile)
if hasattr(fcntl, "F_OFD_SETLK"):
    tap.check("what was made for an image that somebody else writes goes", own_files)
    for other in (("--chunksize=4096", "--blobdev=@"), ("--ungzip", "--tar=i,@"), ("--tar=f", "--ungzip=@"), ("--tar=f", "--gzinfo=@"),
                  ("--tar=i", "--ungzip", "--vmdk-desc=@")):
        tap.check("two write the same: " + " ".join(other), lambda o=other: beside(*(a.replace("@", tap.path("his")) for a in o)))


def mounted(device):
    sources()
    os.mkdir(tap.path("mnt"))
    must("flock", "-s", device, MKFS, "--quiet", device, tap.path("dir"))
    must("mount", "-t", "erofs", "-o", "ro", device, tap.path("mnt"))
    try:
        must_fail("busy", MKFS, "--quiet", "--tar=f", device, tap.path("tar"))
        if get(tap.path("mnt/f1")) != get(tap.path("dir/f1")):
            raise Wrong("other contents")
    finally:
        must("umount", tap.path("mnt"))


def behind_on_device(device):
    sources()
    with open(device, "r+b") as f:
        f.write(b"boot loader" * 1000)
    must(MKFS, "--quiet", "--offset=8192", device, tap.path("dir"))
    must(FSCK, "--offset=8192", "--extract=" + tap.path("out"), device)
    with open(device, "rb") as f:
        if f.read(8192) != (b"boot loader" * 1000)[:8192]:
            raise Wrong("what is before the image is something else")
    if get(tap.path("out/f7")) != get(tap.path("dir/f7")):
        raise Wrong("other contents")


def chunks_on_device(device):
    sources()
    for options in ["--chunksize=4096"], ["--chunksize=65536", "--fingerprint"]:
        must(MKFS, "--quiet", *options, device, tap.path("dir"))
        shutil.rmtree(tap.path("out"), ignore_errors=True)
        must(FSCK, "--extract=" + tap.path("out"), device)
        if get(tap.path("out/f7")) != get(tap.path("dir/f7")):
            raise Wrong("other contents")


os.makedirs(tap.scratch, exist_ok=True)
with open(tap.scratch + ".disk", "wb") as disk:
    disk.truncate(16 << 20)
loop = subprocess.run(["losetup", "-f", "--show", disk.name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode().strip() \
    if os.geteuid() == 0 and shutil.which("losetup") and "\terofs\n" in get("/proc/filesystems").decode() else ""
if loop:
    tap.check("a block device that is mounted", mounted, loop)
    tap.check("a block device, behind --offset", behind_on_device, loop)
    tap.check("chunks on a block device", chunks_on_device, loop)
    subprocess.run(["losetup", "-d", loop], check=True)
else:
    tap.skip("a block device that is mounted", "there is no loop device, or no EROFS")
os.unlink(disk.name)


def limited(limit, rc, *args):
    """ulimit -f, with nobody to ignore SIGXFSZ."""
    sources()
    got, said = run(MKFS, "--quiet", *args[:-1], tap.path("new"), tap.path(args[-1]), fsize=limit)
    if got != rc or (rc and not said):
        raise Wrong(f"exit status {got}, wanted {rc}\n{said}")
    if os.path.exists(tap.path("new")) == bool(rc):
        raise Wrong("an output file is left" if rc else "there is no output file")
    if said.count("failed to write: ") > 3:
        raise Wrong(f"{said.count('failed to write: ')} times the same error")


for args in ("--tar=f", "tar"), ("dir",), ("-zlz4", "dir"):
    tap.check("a limit of 1 MiB, " + " ".join(args), limited, 1 << 20, 0, *args)
    tap.check("a limit of 100 KiB, " + " ".join(args), limited, 100 << 10, 1, *args)


def full_at_the_end(*args):
    """The packed inode and the metabox come last, so try each size that is too small."""
    put(tap.path("dir/f"), os.urandom(20000))
    for n in range(200):
        put(tap.path(f"dir/a-name-that-is-somewhat-longer-{n}"), b"%d" % n * n)
    must(MKFS, "--quiet", *args, tap.path("new"), tap.path("dir"))
    size = os.path.getsize(tap.path("new"))
    os.unlink(tap.path("new"))
    for limit in range(0, size, 4096):
        rc, _ = run(MKFS, "--quiet", *args, tap.path("new"), tap.path("dir"), fsize=limit)
        if rc != 1 or os.path.exists(tap.path("new")):
            raise Wrong(f"a limit of {limit}: exit status {rc}, output: {os.path.exists(tap.path('new'))}")


for args in ("-m4096",), ("-m4096", "-zlz4"), ("-Eall-fragments", "-zlz4", "--workers=0"):
    tap.check("full when the last is written: " + " ".join(args), full_at_the_end, *args)


def other_files(source, *args):
    """What is written beside the image is gone, too, if it's new; there is no space for the image."""
    sources()
    put(tap.path("old"), b"old")
    before = set(os.listdir(tap.scratch))
    command = [MKFS, "--quiet", *[a.replace("@", tap.scratch + "/") for a in args], tap.path("new"), tap.path(source)]
    rc, _ = run(*command, fsize=1024)
    if rc != 1 or set(os.listdir(tap.scratch)) != before:
        raise Wrong(f"exit status {rc}, left: {set(os.listdir(tap.scratch)) - before}")
    must(*command)
    if len(os.listdir(tap.scratch)) != len(before) + 2:
        raise Wrong("there is nothing beside the image")


for source, *args in (("dir", "--chunksize=4096", "--blobdev=@blob"), ("tar", "--tar=i", "--vmdk-desc=@vmdk"), ("tar", "--tar=i,@map"),
                      ("tgz", "--tar=f", "--ungzip=@raw"), ("tgz", "--tar=f", "--gzinfo=@info"), ("img", "--vmdk-desc=@vmdk")):
    tap.check(f"no other files are left: {' '.join(args)}", other_files, source, *args)


def no_epoch():
    sources()
    os.environ["SOURCE_DATE_EPOCH"] = ""
    try:
        must_fail("SOURCE_DATE_EPOCH", MKFS, "--quiet", tap.path("new"), tap.path("dir"))
    finally:
        del os.environ["SOURCE_DATE_EPOCH"]
    must_fail("timestamp", MKFS, "--quiet", "-T", "", tap.path("new"), tap.path("dir"))


tap.check("an empty time", no_epoch)


# --- what is taken as it is written, or refused
def is_refused(regex, *args):
    sources()
    must_fail(regex, MKFS, "--quiet", *args, tap.path("new"), tap.path("dir"))
    if os.path.lexists(tap.path("new")):
        raise Wrong("there is an output file")


HELP = must(MKFS, "--help")
for word in [f"-T{n}" for n in (1 << 63, -(1 << 63) - 1, (1 << 64) + 5, -(1 << 64) + 1)] + ["--chunksize=1", "--chunksize=4294971392"] + \
        ["-Efragments=k", "-Efragments=-18446744073709547520", "-zlz4,k", "--max-extent-bytes=k", "--MZ=", "--MZ=d", "--MZ=idx"] + \
        [o for o in ("-zlzma,dictsize=", "-zlzma,dictsize=k", "-zlzma,dictsize=-18446744073709486080", "-zlzma,lc=", "-zlzma,lc=4294967296", "-zlzma,lc=4,lp=4", "-zlzma,pb=5", "-zlzma,9,dictsize=9,bogus=1", "-zlz4hc,xlevel=9")
         if "lzma" in HELP or "lz4hc" in o]:
    tap.check(f"refused: {word}", is_refused, "invalid|must be|unknown|takes|failed|lc and lp|too|unsupported", word)


def aligned(blocks):
    """The device's size is a multiple of what was asked for, and of no more."""
    sources()
    must(MKFS, "--quiet", tap.path("img"), tap.path("dir"))
    used = os.path.getsize(tap.path("img")) // 4096
    must(MKFS, "--quiet", f"--fsalignblks={blocks}", tap.path("new"), tap.path("dir"))
    if os.path.getsize(tap.path("new")) != -(-used // blocks) * blocks * 4096:
        raise Wrong(f"{os.path.getsize(tap.path('new'))} bytes, and {used} blocks are used")
    must(FSCK, tap.path("new"))


for blocks in 1, 7, 10, 64:
    tap.check(f"the size is a multiple of {blocks} blocks", aligned, blocks)


def ended(*args):
    """Files of /proc and /sys have other sizes than contents: one message that says so, and no output."""
    top = "/sys/kernel/mm/transparent_hugepage"
    if not os.path.isdir(top):
        return
    rc, said = run(MKFS, "--quiet", *args, tap.path("new"), top)
    if rc != 1 or not re.search("ended before its [0-9]+ bytes: it has become shorter", said) or os.path.exists(tap.path("new")):
        raise Wrong(f"exit status {rc}:\n{said}")


for args in ((), ("--chunksize=4096",), ("--fingerprint",), ("--dedupe-files", "--fingerprint"), ("-zlz4",), ("-zlz4", "--fingerprint")):
    tap.check("a file without as many bytes as its size: " + " ".join(args), ended, *args)
tap.check("refused: hints that are a directory", is_refused, "failed to read compress hints", "-zlz4", "--compress-hints=/")
if "--oci" in HELP:
    for word in "insecure=no", "notinsecure", "layer=", "layer=1x", "layer=1k", "layer=4294967296":
        tap.check(f"refused: --oci=f,{word}", is_refused, "invalid --oci", f"--oci=f,{word}")
if "--s3" in HELP:
    for word in "sig=42", "urlstyle=pathX", "xsig=2":
        tap.check(f"refused: --s3=host,{word}", is_refused, "invalid", f"--s3=host,{word}")


def same_image(one, other):
    sources()
    must(MKFS, "--quiet", "-T1", "-Uclear", *one, tap.path("new"), tap.path("dir"))
    must(MKFS, "--quiet", "-T1", "-Uclear", *other, tap.path("new2"), tap.path("dir"))
    if get(tap.path("new")) != get(tap.path("new2")):
        raise Wrong("the images are different ones")


tap.check("bits of features", same_image, ("-zlz4", "--zfeature-bits=20"), ("-zlz4", "-Efragments,dedupe"))
tap.check("the last --MZ", same_image, ("--MZ", "--MZ=i"), ("--MZ=i",))
tap.check("the last --MZ is none", same_image, ("--MZ=id", "--MZ=0"), ())
tap.check("fragments without all-fragments", same_image, ("-zlz4", "-Efragments,^all-fragments"), ("-zlz4", "-Efragments"))
if "lzma" in HELP:
    tap.check("a dictionary behind the level", same_image, ("-zlzma,9,dictsize=65536",), ("-zlzma,level=9,dictsize=65536",))


def same_hints(line):
    """Two lines that say the same."""
    put(tap.path("hints"), line)
    put(tap.path("hints2"), b"4096 1 f0$\n")
    for n in range(3):
        put(tap.path(f"dir/f{n}"), b"%d" % n * 50000)
    for hints in "hints", "hints2":
        must(MKFS, "--quiet", "-T1", "-Uclear", "-zlz4:deflate", "--compress-hints=" + tap.path(hints), tap.path(hints + ".img"), tap.path("dir"))
    if get(tap.path("hints.img")) != get(tap.path("hints2.img")):
        raise Wrong("the images are different ones")


tap.check("compress hints with a size that can't be: that of -C, and the algorithm stays", same_hints, b"5000 1 f0$\n")
tap.check("compress hints with blanks and carriage returns", same_hints, b"\r\n4096\t1 f0$ \t\r\n \r\n")


def dangling(where):
    """Both would be one file."""
    sources()
    os.symlink("new" if where == "blob" else "blob", tap.path(where))
    must_fail("symlink to what isn't there", MKFS, "--quiet", "--chunksize=4096", "--blobdev=" + tap.path("blob"), tap.path("new"), tap.path("dir"))
    if os.path.exists(tap.path("new")) or os.path.exists(tap.path("blob")):
        raise Wrong("there is an output file")


for where in "blob", "new":
    tap.check(f"{where} is a symlink to nothing", dangling, where)


def no_temporary_files():
    for n in range(9):
        put(tap.path(f"dir/f{n}"), b"%d" % n * 5000)
    must(MKFS, "--quiet", "-zlz4", "-Eall-fragments", tap.path("img"), tap.path("dir"))
    must_fail("temporary file in /nonexistent .TMPDIR.", "env", "TMPDIR=/nonexistent", DUMP, "--sharing", tap.path("img"), tap.path("img"))
    os.chmod(tap.scratch, 0o755)
    who = ("setpriv", "--reuid=12345", "--clear-groups") if os.geteuid() == 0 and shutil.which("setpriv") else ()
    must("env", "TMPDIR=", *who, DUMP, "--sharing", tap.path("img"), tap.path("img"))


tap.check("no directory for temporary files", no_temporary_files)


def full_output():
    sources()
    must(MKFS, "--quiet", "--fingerprint", tap.path("img"), tap.path("dir"))
    must_fail("failed to write the output", "sh", "-c", 'exec "$0" --fingerprint "$1" > /dev/full', FSCK, tap.path("img"))


tap.check("fsck.erofs to a full device", full_output)


def behind(source, *args):
    """The image is the same with --offset, and what is before it stays, also if mkfs.erofs fails."""
    sources()
    fixed = ["--quiet", "-T1", "-Uclear", *args]
    put(tap.path("two"), b"boot loader" * 1000)
    must(MKFS, *fixed, tap.path("one"), tap.path(source))
    must(MKFS, *fixed, "--offset=8192", tap.path("two"), tap.path(source))
    if get(tap.path("two")) != (b"boot loader" * 1000)[:8192] + get(tap.path("one")):
        raise Wrong("other bytes")
    put(tap.path("wrong"), b"no tar" * 100)
    must_fail("tar", MKFS, "--quiet", "--tar=f", "--offset=4096", tap.path("two"), tap.path("wrong"))
    if get(tap.path("two")) != (b"boot loader" * 1000)[:4096]:
        raise Wrong("something else is left")


for source, *args in (("dir",), ("dir", "-E^inline_data"), ("dir", "-zlz4"), ("dir", "--dax"), ("dir", "--fingerprint"), ("dir", "--MZ"),
                      ("dir", "-m4096"), ("dir", "--chunksize=4096"), ("dir", "--dedupe-files"), ("tar", "--tar=f"),
                      ("tar", "--tar=i"), ("img", "--clean=data"), ("img", "--fingerprint")):
    tap.check("behind --offset: " + " ".join([source, *args]), behind, source, *args)


def one_error():
    """A full disk is not told for each of thousands of pclusters."""
    put(tap.path("dir/f"), b"".join(b"%d " % n for n in range(2000000)))
    rc, said = run(MKFS, "--quiet", "-zlz4", tap.path("new"), tap.path("dir"), fsize=1 << 20)
    if rc != 1 or said.count("\n") > 10:
        raise Wrong(f"exit status {rc}, {said.count(chr(10))} lines of errors")


tap.check("a full disk is an error, and not thousands", one_error)


def raw_stream():
    sources()
    must_fail("No space", MKFS, "--quiet", "--tar=f", "--ungzip=/dev/full", tap.path("new"), tap.path("tgz"))
    must(MKFS, "--quiet", "--tar=i", "--ungzip=" + tap.path("raw"), tap.path("new"), tap.path("tgz"))
    if get(tap.path("raw")) != get(tap.path("tar")):
        raise Wrong("the stream that was dumped is another one")


tap.check("a raw stream that can't be dumped", raw_stream)
for args in ("--tar=i", "--vmdk-desc=/dev/full"), ("--tar=i,/dev/full",):
    tap.check("a full disk: " + " ".join(args), option, "No space", "tar", *args)


# --- standard streams and existing files
def closed_stderr():
    sources()
    rc, said = run("sh", "-c", 'exec "$0" -d9 "$1" "$2" 2>&-', MKFS, tap.path("new"), tap.path("dir"))
    if rc:
        raise Wrong(f"exit status {rc}\n{said}")
    must("sh", "-c", 'exec "$0" -d9 "--extract=$1" "$2" 2>&-', FSCK, tap.path("out"), tap.path("new"))
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


def dangling():
    os.symlink("new", tap.path("link"))
    put(tap.path("tar"), b"no archive" * 100)
    must_fail("chksum", MKFS, "--quiet", "--tar=f", tap.path("link"), tap.path("tar"))
    if os.path.exists(tap.path("new")) or not os.path.islink(tap.path("link")):
        raise Wrong(str(os.listdir(tap.scratch)))


def quiet():
    sources()
    for args in ([tap.path("new"), tap.path("dir")], [tap.path("new"), tap.path("nothing")], ["-b1", tap.path("new"), tap.path("dir")]):
        said = subprocess.run([MKFS, "--quiet", *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
        if said:
            raise Wrong(f"{args}: {said!r}")


tap.check("an output file that a symlink refers to, and that is new", dangling)
tap.check("--quiet", quiet)


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
        rc, _ = run(MKFS, "-d9", "--workers=0", "-zlz4", tap.path("new"), tap.path("dir"), timeout=30, fsize=30000 + 20000 * n)
        if rc not in (0, 1):
            raise Wrong(f"exit status {rc}")


tap.check("a failure while others wait for the compressor", no_deadlock)

# --- what was asked for, and what came of it
def shows(image, regex, *args):
    said = must(DUMP, *args, image)
    if not re.search(regex, said, re.M):
        raise Wrong(f"no {regex} in: {said}")


def numbers():
    sources()
    put(tap.path("dir/text"), b"".join(b"%d " % n for n in range(100000)))


def directory_compression():
    """--zD=0 is off, --zD=1 is on; without -z there is nothing to compress with."""
    sources()
    for n in range(300):
        put(tap.path(f"dir/a-name-that-is-somewhat-longer-{n}"), b"x")
    sizes = {}
    for o in ("--zD=0", "--zD=1", "--zD"):
        must(MKFS, "--quiet", "-zlz4", "-T1", "-Uclear", o, tap.path("img"), tap.path("dir"))
        must(FSCK, "--extract", tap.path("img"))
        sizes[o] = re.search(r"Layout: (\d)", must(DUMP, "--path=/", tap.path("img")))[1]
    if sizes != {"--zD=0": "2", "--zD=1": "1", "--zD": "1"}:
        raise Wrong(str(sizes))


def metabox_algorithm(data, *args):
    """What -m names is for metadata, wherever it stands."""
    numbers()
    must(MKFS, "--quiet", *args, tap.path("img"), tap.path("dir"))
    must(MKFS, "--quiet", *data, tap.path("other"), tap.path("dir"))
    ratio = [re.search(r"Compression ratio: (.*)", must(DUMP, "--path=/text", tap.path(i)))[1] for i in ("img", "other")]
    if ratio[0] != ratio[1]:
        raise Wrong(f"{ratio[0]}, not {ratio[1]}")
    shows(tap.path("img"), "compr_algs:.*zstd")
    must(FSCK, "--extract", tap.path("img"))


def caret():
    sources()
    must(MKFS, "--quiet", "-Enosbcrc,^nosbcrc", tap.path("img"), tap.path("dir"))
    shows(tap.path("img"), "compatible features:.*sb_csum")
    must(MKFS, "--quiet", "-E^force-inode-extended", "-T1", "--all-root", tap.path("img"), tap.path("dir"))
    shows(tap.path("img"), "Inode size: 32", "--path=/f1")


tap.check("--zD", directory_compression)
tap.check("--zD without -z", option, "use -z", "dir", "--zD")
tap.check("-m before -z", metabox_algorithm, ("-zlz4",), "-m4096:zstd", "-zlz4")
tap.check("-m behind -z", metabox_algorithm, ("-zlz4",), "-zlz4", "-m4096:zstd")
tap.check("-m without -z", metabox_algorithm, (), "-m4096:zstd")
tap.check("options with a caret", caret)
for regex, source, *args in (("too many algorithm", "dir", "-z" + ":".join(["lz4"] * 65)), ("invalid --zD", "dir", "-zlz4", "--zD=x"),
                             ("compression level", "dir", "-zlz4hc,level=4294967297"),
                             ("invalid compression level 0", "dir", "-zdeflate,0"), ("invalid dictionary size 100", "dir", "-zdeflate,dictsize=100"),
                             ("no algorithm", "dir", "-z", ""),
                             ("fragdedupe=foo", "dir", "-zlz4", "-Efragdedupe=foo"), ("invalid extended", "dir", "-Efragments="),
                             ("xattr tolerance", "dir", "-x", ""), ("disk offset", "dir", "--offset="), ("disk offset", "dir", "--offset=-4096"),
                             ("zfeature", "dir", "--zfeature-bits="), ("extent size", "dir", "--max-extent-bytes="),
                             ("clean=7", "dir", "--clean=7"), ("clean=", "dir", "--clean="), ("tarball", "dir", "--ungzip"),
                             ("tarball", "dir", "--gzinfo=/nowhere/x"), ("leave it out", "img", "--chunksize=4096", "--blobdev=/nowhere/x"),
                             ("leave it out", "img", "--clean=data", "--chunksize=4096", "--blobdev=/nowhere/x"),
                             ("leave it out", "tar", TAR, "--clean=rvsp", "--chunksize=4096", "--blobdev=/nowhere/x"),
                             ("/nowhere/x", "dir", "--chunksize=4096", "--blobdev=/nowhere/x")):
    tap.check("refused: " + " ".join(args)[:40], option, regex, source, *args)


def in_the_source(*args):
    """The image is in the directory that it is made of: it's left out."""
    numbers()
    img = tap.path("dir/img")
    for how in ((), ("--incremental=data",)):
        said = must(MKFS, *args, *how, img, tap.path("dir"))
        if said.count("img is what is written, and left out") != 1:
            raise Wrong(said)
        must(FSCK, "--extract", img)
        must_fail("/img: .*No such file", DUMP, "--path=/img", img)
        must_fail("/img: .*No such file", DUMP, "--path=/img", "--cat", img)
        must_fail("/img: .*No such file", FSCK, "--path=/img", img)
    must(FSCK, "--extract=" + tap.path("out"), img)
    if get(tap.path("out/text")) != get(tap.path("dir/text")):
        raise Wrong("other contents")


for args in (), ("--fingerprint",), ("-zlz4", "--fingerprint"), ("--chunksize=4096",):
    tap.check("an image in its own source: " + " ".join(args), in_the_source, *args)


def mounted_in_the_source():
    """A container's output is often a file that is mounted there; readdir(3) tells the number of the one below."""
    numbers()
    put(tap.path("dir/img"), b"")
    put(tap.path("real"), b"")
    must("unshare", "-m", "sh", "-c", 'mount --bind "$1" "$2/img" && exec "$0" --quiet "$2/img" "$2"', MKFS, tap.path("real"), tap.path("dir"))
    must(FSCK, "--extract", tap.path("real"))
    must_fail("img", DUMP, "--path=/img", tap.path("real"))


if os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
    tap.check("an image that is mounted in its own source", mounted_in_the_source)
else:
    tap.skip("an image that is mounted in its own source", "not root, or no right to mount")


def deep_digests():
    fd, new = os.open(tap.path("."), os.O_RDONLY), -1
    try:
        os.mkdir("deep", dir_fd=fd)
        for name in ["deep"] + ["d"] * 1000:
            if name == "d":
                os.mkdir("d", dir_fd=fd)
            new = os.open(name, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = new
        os.close(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    finally:
        os.close(fd)
    must(MKFS, "--quiet", "--fingerprint", tap.path("img"), tap.path("deep"))
    shows(tap.path("img"), "/d/d/f$", "--fingerprint")
    must(DUMP, "--sharing", tap.path("img"))
    must_fail("--cat needs", DUMP, "--cat", tap.path("img"))


tap.check("1000 directories in each other: digests, sharing", deep_digests)


def more_prefixes(*base):
    """Prefixes are added to those of a base."""
    sources()
    must(MKFS, "--quiet", *base, tap.path("new"), tap.path("dir"))
    put(tap.path("more/g"), b"g" * 5000)
    must(MKFS, "--quiet", "--incremental=data", *[f"--xattr-prefix=user.p{n}" for n in range(20)], tap.path("new"), tap.path("more"))
    must(FSCK, "--extract", tap.path("new"))


for base in (), ("--xattr-prefix=user.a",), ("--fingerprint",):
    tap.check("more prefixes of xattrs than the base has: " + " ".join(base), more_prefixes, *base)


def many_names():
    """Compact inodes count 65,535 links."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as top:
        put(top + "/f", b"contents")
        for n in range(65535):
            os.link(top + "/f", f"{top}/{n}")
        must(MKFS, "--quiet", "-T1", tap.path("img"), top)
        must_fail("compact form", MKFS, "--quiet", "-T1", "-Eforce-inode-compact", tap.path("other"), top)
    must(FSCK, tap.path("img"))
    shows(tap.path("img"), "Links: 65536 ", "--path=/77")


if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK):
    tap.check("65,536 names of a file", many_names)
else:
    tap.skip("65,536 names of a file", "no /dev/shm")


def far(*options, refused=None):
    """Data behind block 2^32, in an image that is nearly all hole: each file is 2^31 blocks behind the one before."""
    for n in range(3):
        put(tap.path(f"dir/a{n}"), os.urandom(20000))
        put(tap.path(f"dir/t{n}"), b"".join(b"%d\n" % i for i in range(5000 << n)))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as top:
        img = top + "/img"
        args = [MKFS, "--quiet", "--fingerprint", *options, img, tap.path("dir")]
        if refused:
            must_fail(refused, *args)
            if os.path.exists(img):
                raise Wrong("there is an output file")
            return
        must(*args)
        must(FSCK, "--fingerprint", "--extract=" + tap.path("out"), img)
    must("diff", "-r", tap.path("dir"), tap.path("out"))


if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK):
    for args in "", "-zlz4", "-zlz4 -m4096", "-zlz4 -Efragments", "-zlz4 -Elegacy-compress", "-zdeflate -C65536":
        tap.check("behind block 2^32: " + args, far, "--dsunit=2147483648", "-E48bit", *args.split())
    for args, regex in ("-E48bit -zlz4 -Eztailpacking", "leave -Eztailpacking out"), ("-zlz4", "use -E48bit"), ("", "No space"), \
            ("-E48bit --MZ", "leave --MZ out"):
        tap.check("refused behind block 2^32: " + args, far, "--dsunit=2147483648", *args.split(), refused=regex)
    tap.check("refused: more than 2^32 blocks", far, "--dsunit=715827882", refused="use -E48bit")
else:
    tap.skip("behind block 2^32", "no /dev/shm")


def behind_far(*options):
    """An incremental build over an image that reaches behind block 2^32: all of both is there."""
    for n in range(4):
        put(tap.path(f"dir/a{n}"), os.urandom(20000))
        put(tap.path(f"more/t{n}"), b"".join(b"%d\n" % i for i in range(5000 << n)))
    must("tar", "-C", tap.path("more"), "-cf", tap.path("more.tar"), ".")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as top:
        img = top + "/img"
        must(MKFS, "--quiet", "--fingerprint", "-E48bit", "--dsunit=2147483648", img, tap.path("dir"))
        must(MKFS, "--quiet", "--incremental=data", *options, img, tap.path("more.tar" if TAR in options else "more"))
        must(FSCK, "--fingerprint", "--extract=" + tap.path("out"), img)
    shutil.copytree(tap.path("more"), tap.path("dir"), dirs_exist_ok=True)
    must("diff", "-r", tap.path("dir"), tap.path("out"))


def more_than_a_tebibyte():
    """The data of a tarball was kept in the image at 1 TiB: the first file came to where that of another one was."""
    for name in "za":
        put(tap.path(f"dir/{name}"), os.urandom(50000))
    must("tar", "-C", tap.path("dir"), "-cf", tap.path("tar"), "z", "a")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as top:
        rc, _ = run(MKFS, "--quiet", TAR, "--dsunit=268435456", top + "/img", tap.path("tar"))
        if rc == 0:
            must(FSCK, "--extract=" + tap.path("out"), top + "/img")
            must("diff", "-r", tap.path("dir"), tap.path("out"))
        elif os.path.exists(top + "/img"):
            raise Wrong("there is an output file")


if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK):
    for args in "", "-zlz4", "--chunksize=4096", "--tar=f", "--tar=f -zlz4":
        tap.check("added behind block 2^32: " + args, behind_far, *args.split())
    tap.check("a tarball whose image is larger than 1 TiB", more_than_a_tebibyte)
else:
    tap.skip("added behind block 2^32", "no /dev/shm")


def whole_hole():
    os.mkdir(tap.path("dir"))
    with open(tap.path("dir/hole"), "wb") as f:
        f.truncate(3 << 40)
    must(MKFS, "--quiet", "--chunksize=4194304", tap.path("img"), tap.path("dir"))
    shows(tap.path("img"), f"Size: {3 << 40} ", "--path=/hole")
    must(FSCK, tap.path("img"))


tap.check("a file that is a hole of 3 TiB, with chunks", whole_hole)


# --- incremental builds do what is asked for, or say that they can't
def into(regex, base, source, *args):
    sources()
    must(MKFS, "--quiet", *base.split(), tap.path("base"), tap.path("dir"))
    before = get(tap.path("base"))
    must_fail(regex, MKFS, "--quiet", "--incremental=data", *args, tap.path("base"), tap.path(source))
    if get(tap.path("base")) != before:
        raise Wrong("the base has changed")


for regex, base, source, *args in (("leave -b out", "-b4096", "dir", "-b1024"), ("-E48bit", "-zlz4", "dir", "-E48bit"),
                                   ("-m is", "-zlz4", "dir", "-zlz4", "-m4096"),
                                   ("--dax needs blocks", "-b512", "dir", "--dax"), ("--tar=i needs blocks", "-b4096", "tar", "--tar=i"),
                                   ("chunksize 4096 must be", "-b16384", "dir", "--chunksize=4096"),
                                   ("clustersize 4096", "-zlz4 -b16384 -C32768", "dir", "-zlz4", "-C4096")):
    tap.check(f"not in an incremental build of {base}: " + " ".join(args), into, regex, base, source, *args)


def for_other_sources(source, said, *args):
    """Scripts give the same options whatever the source is: that of 1.9.4 is made, and what has no effect is said."""
    sources()
    base, options = tap.path("base"), [a for a in args if not a.startswith(said)]
    for image, more in (tap.path("new"), args), (tap.path("other"), options):
        if "--incremental" in args:
            must(MKFS, "--quiet", "-b4096", "-T0", "-Uclear", "--MZ=i", "--root-xattr-isize=500", base, tap.path("dir"))
            shutil.copy(base, image)
        got = must(MKFS, "-T0", "-Uclear", "-L", "l", *more, image, tap.path(source))
        if bool(re.search(f"{said}.* has no effect|done by {said}", got)) != (more is args):
            raise Wrong(got)
    if get(tap.path("new")) != get(tap.path("other")):
        raise Wrong("another image than without")
    must(FSCK, tap.path("new"))


# containerd merges with --aufs, and has -b4096 for all layers on macOS; Android gives hints and -z apart from each other
for source, said, *args in (("img", "--aufs", "--aufs", "--ovlfs-strip=1"), ("dir", "--aufs", "--aufs"), ("dir", "--sort=none", "--sort=none"),
                            ("img", "--sort=none", "--sort=none"), ("tar", "-b4096", "--tar=i", "--aufs", "-b4096"), ("img", "-b1024", "-b1024"),
                            ("tar", "-x-1", TAR, "-x-1"), ("img", "-x-1", "-x-1"), ("tar", "--hard-dereference", TAR, "--hard-dereference"),
                            ("dir", "--compress-hints", "--compress-hints=/dev/null"), ("dir", "--MZ", "--incremental", "--MZ=i"),
                            ("dir", "--MZ", "--incremental", "--MZ"), ("dir", "--root-xattr-isize", "--incremental", "--root-xattr-isize=500")):
    tap.check(f"no effect for {source}, but no error: " + " ".join(args), for_other_sources, source, said, *args)


def superblock(image):
    return get(image)[1024:1024 + 128]


def renamed():
    sources()
    base = tap.path("img")
    before = superblock(base)
    must(MKFS, "--quiet", "--incremental=data", "-Lnew", "-Urandom", "-Enosbcrc", base, tap.path("dir"))
    now = superblock(base)
    if now[64:80] != b"new".ljust(16, b"\0") or now[48:64] == before[48:64] or now[8] & 1:
        raise Wrong(f"label {now[64:80]}, UUID {now[48:64].hex()}, features {now[8]}")
    must(FSCK, base)
    must(MKFS, "--quiet", "--incremental=data", "-E^nosbcrc", base, tap.path("dir"))
    if superblock(base)[64:80] != b"new".ljust(16, b"\0") or superblock(base)[48:64] != now[48:64] or not superblock(base)[8] & 1:
        raise Wrong(f"not as before: {superblock(base).hex()}, {now.hex()}")
    must(FSCK, base)


tap.check("label, UUID and checksum of an incremental build", renamed)


def small_blocks():
    for n in range(2):
        put(tap.path(f"dir{n}/f{n}"), b"".join(b"%d\n" % n for n in range(50000)))
    must(MKFS, "--quiet", "-b512", "-zlz4", "-C4096", tap.path("img"), tap.path("dir0"))
    must(MKFS, "--quiet", "--incremental=data", "-zlz4", "-C4096", tap.path("img"), tap.path("dir1"))
    for n in range(2):
        said = must(DUMP, "-e", f"--path=/f{n}", tap.path("img"))
        largest = max(int(x) for x in re.findall(r"\| +(\d+)$", said, re.M))
        if largest != 4096:
            raise Wrong(f"f{n} has pclusters of {largest} bytes")


tap.check("-C of an incremental build is in bytes", small_blocks)


def ignored_dsunit():
    put(tap.path("dir/f"), b"x")
    for chunks, warned in ("4096", True), ("65536", False):
        said = must(MKFS, "-b4096", "--dsunit=16", "--chunksize=" + chunks, tap.path("img"), tap.path("dir"))
        if ("ignore dsunit" in said) != warned:
            raise Wrong(said)


tap.check("a dsunit that is ignored", ignored_dsunit)


def tar_label(label, want, *args):
    put(tap.path("dir/f"), b"x")
    must("tar", "-V", label, "-cf", tap.path("tar"), "-C", tap.path("dir"), ".")
    must(MKFS, "--quiet", *args, TAR, tap.path("img"), tap.path("tar"))
    if superblock(tap.path("img"))[64:80] != want.ljust(16, b"\0"):
        raise Wrong(f"the label is {superblock(tap.path('img'))[64:80]}")
    must(FSCK, tap.path("img"))


tap.check("the label of a tarball", tar_label, "label", b"label")
tap.check("a label of a tarball that is too long", tar_label, "a label that is too long", b"a label that is")
tap.check("-L comes before the label of a tarball", tar_label, "label", b"mine", "-Lmine")


def compresses_nothing(warned, source, *args):
    sources()
    said = must(MKFS, "-zlz4", *args, tap.path("new"), tap.path(source))
    if ("-z compresses nothing" in said) != warned:
        raise Wrong(said)


def no_chunks(option, warned, source, *args):
    sources()
    said = must(MKFS, option, *args, tap.path("new"), tap.path(source))
    if (f"{option.split('=')[0]} has no effect" in said) != warned:
        raise Wrong(said)


for opt in "--chunksize=65536", "-Ededupe":
    for warned, source, *args in ((True, "img"), (True, "img", "--clean=data"), (True, "tar", "--tar=i"), (False, "tar", TAR), (False, "dir")):
        tap.check(f"{opt} of " + " ".join((*args, source)), no_chunks, opt, warned, source, *args)
for warned, source, *args in ((True, "img"), (True, "img", "--clean=data"), (True, "tar", "--tar=i"), (True, "tar", TAR, "--clean=rvsp"),
                              (False, "tar", TAR), (False, "dir"), (False, "img", "-m4096")):
    tap.check(f"-z {'without' if warned else 'with'} data: " + " ".join((*args, source)), compresses_nothing, warned, source, *args)


def without_z(*args):
    put(tap.path("dir/f"), b"x" * 100000)
    for z, warned in ((), True), (("-zlz4",), False):
        said = must(MKFS, *z, *args, tap.path("img"), tap.path("dir"))
        if ("without -z" in said) != warned:
            raise Wrong(said)


for args in "-C8192", "-Efragments", "-Eall-fragments", "-Eztailpacking", "--max-extent-bytes=8192":
    tap.check("without -z: " + args, without_z, args)


def excluded(path, left):
    for name in "a/b", "a/c", "b":
        put(tap.path("dir/" + name), b"x")
    must(MKFS, "--quiet", "--exclude-path=" + path, tap.path("img"), tap.path("dir"))
    must(FSCK, "--extract=" + tap.path("out"), tap.path("img"))
    got = {os.path.relpath(os.path.join(d, f), tap.path("out")) for d, _, files in os.walk(tap.path("out")) for f in files}
    if got != set(left.split()):
        raise Wrong(f"there are {got}")


for path, left in ("a/b", "a/c b"), ("/a/b", "a/c b"), ("./a/b", "a/c b"), ("a/", "b"), ("//a//", "b"), ("b", "a/b a/c"):
    tap.check("excluded: " + path, excluded, path, left)
for path in "/", ".", "":
    tap.check(f"refused: --exclude-path={path}", option, "no path below the root", "dir", "--exclude-path=" + path)


def excluded_values(*exclude):
    """Values that several files have are stored once, but not those of files that are left out."""
    for n in range(8):
        for folder in "open", "shut":
            put(tap.path(f"dir/{folder}/{n}"), b"x")
            os.setxattr(tap.path(f"dir/{folder}/{n}"), "user.pass", b"value-of-" + folder.encode())
    must(MKFS, "--quiet", *exclude, tap.path("img"), tap.path("dir"))
    there = {folder for folder in ("open", "shut") if b"value-of-" + folder.encode() in get(tap.path("img"))}
    if there != ({"open"} if exclude else {"open", "shut"}):
        raise Wrong(f"there are values of {there}")


for exclude in (), ("--exclude-path=shut",), ("--exclude-regex=shut/.*",), ("--exclude-path=shut", "-zlz4"):
    tap.check("values of excluded files: " + " ".join(exclude), excluded_values, *exclude)


# Exchanges d and the symlink l of the current directory, again and again.
EXCHANGE = """
import ctypes, time
libc = ctypes.CDLL(None)
while True:
    libc.renameat2(-100, b"tree/d", -100, b"l", 2)
    time.sleep(0.0008)
    libc.renameat2(-100, b"tree/d", -100, b"l", 2)
    time.sleep(0.004)
"""


def exchanged(*args):
    """Whoever exchanges a directory for another one while an image is made gets nothing of the other one's into it."""
    for n in range(200):
        put(tap.path(f"tree/d/f{n}"), b"x")
        put(tap.path(f"other/f{n}"), b"y")
        os.setxattr(tap.path(f"other/f{n}"), "user.secret", b"OF-ANOTHER-FILE")
    os.symlink(tap.path("other"), tap.path("l"))
    made, end = 0, time.monotonic() + 30
    with subprocess.Popen([sys.executable, "-c", EXCHANGE], cwd=tap.scratch) as other:
        try:
            while made < 40 and time.monotonic() < end:
                done = subprocess.run([MKFS, "--quiet", *args, tap.path("img"), tap.path("tree")], check=False, capture_output=True)
                if done.returncode:
                    continue
                made += 1
                if b"OF-ANOTHER-FILE" in get(tap.path("img")):
                    raise Wrong(f"image {made} has an xattr of a file that is not in the source")
        finally:
            other.kill()
    if not made:
        raise Wrong("no image could be made")


for args in (), ("-x0",):
    tap.check("directories are exchanged meanwhile: " + " ".join(args), exchanged, *args)


# --- VMDK descriptors: the disk that they put together is the image and its devices
def disk(desc):
    whole = b""
    for count, name, offset in re.findall(r'^RW (\d+) FLAT "(.*)" (\d+)$', get(desc).decode(), re.M):
        path = os.path.join(os.path.dirname(desc), name)
        whole += get(path)[int(offset) * 512:][:int(count) * 512].ljust(int(count) * 512, b"\0")
    return whole


def index():
    """An image whose data is in the archive, and one whose author calls that /etc/passwd."""
    must(MKFS, "--quiet", "--tar=i", "-Enosbcrc", tap.path("index"), tap.path("tar"))
    data = bytearray(get(tap.path("index")))
    (slot,) = struct.unpack_from("<H", data, 1024 + 88)
    data[slot * 128:slot * 128 + 64] = b"/etc/passwd".ljust(64, b"\0")
    put(tap.path("tagged"), bytes(data))


def vmdk(want, desc, *args):
    """@want are the files, with the offset of the first one, that come one after the other."""
    sources()
    index()
    os.mkdir(tap.path("other"))
    here = os.getcwd()
    os.chdir(tap.scratch)
    try:
        must(MKFS, "--quiet", "--vmdk-desc=" + desc, *args)
    finally:
        os.chdir(here)
    for name, offset in want:
        part = get(tap.path(name))[offset:]
        at = disk(tap.path(desc)).find(part[:512 * (len(part) // 512)])
        if at < 0:
            raise Wrong(f"{name} is not on the disk:\n{get(tap.path(desc)).decode()}")


def no_vmdk(regex, *args, stdin=None):
    sources()
    index()
    os.link(tap.path("img"), tap.path('a"b'))
    before = get(tap.path("img"))
    with open(tap.path(stdin or "tar"), "rb") as f:
        must_fail(regex, MKFS, "--quiet", "--vmdk-desc=" + tap.path("desc"), *[a.replace("@", tap.scratch + "/") for a in args],
                  stdin=f)
    if os.path.exists(tap.path("new")) or os.path.exists(tap.path("desc")) or get(tap.path("img")) != before:
        raise Wrong("something is left")


for want, desc, *args in (([("new", 0), ("blob", 0)], "desc", "--chunksize=4096", "--blobdev=blob", "new", "dir"),
                          ([("new", 1 << 20)], "desc", "--offset=1048576", "new", "dir"),
                          ([("new", 0)], "desc", "--tar=i", "--ungzip=raw", "new", "tgz"),
                          ([("new", 0), ("tar", 0)], "desc", "--device=tar", "new", "index"),
                          ([("new", 0), ("tar", 0)], "other/desc", "--device=tar", "new", "tagged"),
                          ([("new", 0), ("img", 0)], "other/desc", "new", "img"), ([("new", 0), ("img", 0)], "desc", "new", "img")):
    tap.check("VMDK: " + " ".join((desc, *args)), vmdk, want, desc, *args)
tap.check("VMDK: the raw tarball", lambda: (vmdk([("new", 0)], "desc", "--tar=i", "--ungzip=raw", "new", "tgz"),
                                            get(tap.path("raw")).find(disk(tap.path("desc"))[-4096:]) < 0 and must("false")))
for regex, stdin, *args in (("not known", "tar", "--tar=i", "@new"), ("not known", None, "--tar=i", "--ungzip", "@new", "@tgz"),
                            ("file name", None, "@new", '@a"b'), ("not known", None, "@new", "@index"), ("not known", None, "@new", "@tagged"),
                            ("sector", None, "--offset=100", "@new", "@dir"),
                            ("file name", None, "--incremental=data", '@a"b', "@dir")):
    tap.check("no VMDK: " + " ".join(args).replace("@", ""), no_vmdk, regex, *args, stdin=stdin)


def map_of_4_gib():
    put(tap.path("dir/f"), b"data", sparse=[((2 << 40) - 4, b"data")])
    must_fail("larger --chunksize", MKFS, "--quiet", "--chunksize=4096", "-Eforce-chunk-indexes", tap.path("new"), tap.path("dir"))
    if os.path.exists(tap.path("new")):
        raise Wrong("an image is left")


tap.check("a map of 4 GiB", map_of_4_gib)


def created(when, want, *args):
    put(tap.path("dir/f"), b"x")
    must(MKFS, "--quiet", "-T" + when, *args, tap.path("img"), tap.path("dir"))
    said = must("env", "TZ=UTC", DUMP, "-s", tap.path("img"))
    if not re.search(r"created: +" + want, said):
        raise Wrong(said)


for args in ("-E48bit",), ("-m4096",), ("-Edot-omitted",), ():
    for when, want in ("-5", "Wed Dec 31 23:59:55 1969"), ("4294967296", "Sun Feb  7 06:28:16 2106"):
        tap.check(f"the build time {when}: " + " ".join(args), created, when, want, *args)


tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is read from a mount of erofsfuse is what the image says, and large directories take no longer for each name."""
import mmap
import errno
import os
import random
import shutil
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from imagelib import PLAIN, Image    # noqa: E402
from taplib import MKFS, Tap, Wrong, compare, get, must, must_fail, put, run, snapshot  # noqa: E402

tap = Tap()
NOBODY = 0xffffffff     # an entry of an ACL without an id
FUSE = os.environ.get("EROFSFUSE", os.path.join(os.path.dirname(MKFS), "../fuse/erofsfuse"))


def unmount(path):
    """Unmount what a process that ends may still use."""
    end = time.monotonic() + 20
    while run("umount", path)[0]:
        if time.monotonic() > end:
            raise Wrong(f"{path} is busy")
        time.sleep(0.1)


def mounted(function, *options, forge=None, fuse=(), how=()):
    os.makedirs(tap.path("mnt"), exist_ok=True)
    must(MKFS, "--quiet", *options, tap.path("img"), tap.path("dir"))
    if forge:
        im = Image(tap.path("img"))
        forge(im)
        put(tap.path("img"), im.data)
    must(*how, FUSE, *fuse, tap.path("img"), tap.path("mnt"))
    try:
        function(tap.path("dir"), tap.path("mnt"))
    finally:
        must("umount", tap.path("mnt"))


def equal(*options):
    for n, size in enumerate((0, 1, 4095, 4096, 100000)):
        put(tap.path(f"dir/d{n}/f"), (b"%d " % n * size)[:size])
    for n in range(3000):
        put(tap.path(f"dir/many/{n}"), b"%d" % n)
    put(tap.path("dir/names/" + "n" * 255), b"")
    put(tap.path("dir/names/!"), b"before the dots")
    os.symlink("target", tap.path("dir/link"))
    os.link(tap.path("dir/d4/f"), tap.path("dir/hard"))
    os.utime(tap.path("dir/d4/f"), ns=(0, 1234567890_123456789))

    def check(want, got):
        compare(snapshot(want), snapshot(got))
        for name in "names/" + "n" * 254, "many/3000", "many/-", "many/~", "d0/g", "nothing":
            if os.path.lexists(got + "/" + name):
                raise Wrong(f"there is {name}")

    mounted(check, *options)


def large(number):
    """The time to look for all names: it was 4 times as much for 2 times the names."""
    os.makedirs(tap.path("dir"))
    for n in range(number):
        os.mknod(tap.path(f"dir/a-name-that-is-somewhat-longer-{n}"))

    def check(_, got):
        end = time.monotonic() + 40
        for n in range(0, number, 16):
            os.lstat(f"{got}/a-name-that-is-somewhat-longer-{n}")
            if time.monotonic() > end:
                raise Wrong(f"{n} of {number} names in 40 s")

    mounted(check)


def listed(number):
    """All names, each once; 4 times as many took 16 times as long."""
    for name, names in ("few", number), ("many", 4 * number):
        os.makedirs(tap.path("dir/" + name))
        for n in range(names):
            path = tap.path(f"dir/{name}/{n}")
            if n % 30000:   # fewer than an inode can have
                os.link(tap.path(f"dir/{name}/{n - n % 30000}"), path)
            else:
                put(path, b"")

    def check(_, got):
        taken = []
        for name, names in ("few", number), ("many", 4 * number):
            start = time.monotonic()
            if sorted(os.listdir(f"{got}/{name}"), key=int) != [str(n) for n in range(names)]:
                raise Wrong("the names are others")
            taken.append(time.monotonic() - start)
        if taken[1] > 9 * taken[0] + 0.5:
            raise Wrong(f"{taken[0]:.1f} s for {number} names, {taken[1]:.1f} s for 4 times as many")

    mounted(check)


def others():
    """Who is let in by allow_other reads what he may; nobody writes."""
    put(tap.path("dir/secret"), b"secret")
    put(tap.path("dir/open"), b"open")
    os.chmod(tap.path("dir/secret"), 0o600)
    os.chmod(tap.path("dir/open"), 0o644)
    put(tap.path("dir/listed"), b"listed")
    os.chmod(tap.path("dir/listed"), 0o640)
    os.chown(tap.path("dir/listed"), 0, 12346)
    # u::rw-, u:12347:r--, g::---, m::r--, o::---: the mode says 0640
    os.setxattr(tap.path("dir/listed"), "system.posix_acl_access", struct.pack("<I" + 5 * "HHI", 2, 1, 6, NOBODY, 2, 4, 12347,
                                                                               4, 0, NOBODY, 16, 4, NOBODY, 32, 0, NOBODY))
    os.chmod(tap.scratch, 0o755)

    def check(_, got):
        user = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
        must(*user, "cat", got + "/open")
        must_fail("Permission denied", *user, "cat", got + "/secret")
        must_fail("Permission denied", "setpriv", "--reuid=12345", "--regid=12346", "--clear-groups", "cat", got + "/listed")
        must("setpriv", "--reuid=12347", "--regid=12345", "--clear-groups", "cat", got + "/listed")
        must_fail("Read-only", "touch", got + "/new")
        if get(got + "/secret") != b"secret":
            raise Wrong("root may read it")

    mounted(check, fuse=("-o", "allow_other"))


def long_name():
    """A name that no file can have gives the errno of other file systems."""
    put(tap.path("dir/file"), b"")

    def check(_, got):
        for length, number in (255, errno.ENOENT), (256, errno.ENAMETOOLONG):
            try:
                os.lstat(f"{got}/{'n' * length}")
            except OSError as e:
                if e.errno == number:
                    continue
            raise Wrong(f"a name of {length} bytes gives another errno than {number}")

    mounted(check)


def wrong_options():
    put(tap.path("dir/f"), b"")
    must(MKFS, "--quiet", tap.path("img"), tap.path("dir"))
    os.makedirs(tap.path("mnt"))
    for option in "--offset=4096x", "--offset=4k", "--offset=", "--offset=-4096", f"--offset={1 << 64}", "--dbglevel=x":
        must_fail("invalid number", FUSE, option, tap.path("img"), tap.path("mnt"))
    must_fail("unexpected argument: more", FUSE, tap.path("img"), tap.path("mnt"), "more")


def first_nid():
    """A file whose nid is 0, as other tools may write it."""
    put(tap.path("dir/f"), b"f" * 4096)
    put(tap.path("dir/g"), b"g" * 4096)

    def forge(im):
        at, _ = im.entry("f")
        file = im.inode("f")
        im.write(0, im.data[file.at:file.at + 32])
        im.put("Q", at, 0)

    def check(_, got):
        if get(got + "/f") != b"f" * 4096 or get(got + "/g") != b"g" * 4096:
            raise Wrong("the contents are others")
        if os.lstat(got + "/f").st_ino in (os.lstat(got).st_ino, os.lstat(got + "/g").st_ino):
            raise Wrong("two files have one number")

    mounted(check, "-Eforce-inode-compact,nosbcrc", "-x-1", "-T1", forge=forge)


def cmdline(pid):
    try:
        return get(f"/proc/{pid}/cmdline")
    except OSError:     # it has ended meanwhile
        return b""


def huge_symlink():
    """No memory for what can't be the target of a symlink."""
    os.makedirs(tap.path("dir"))
    os.symlink("t" * 4000, tap.path("dir/link"))
    os.symlink("u" * 4095, tap.path("dir/long"))

    def forge(im):
        link = im.inode("link")
        size = 1 << 30
        im.set_layout(link, PLAIN)
        im.put("I", link.u_at, 0)
        im.put("I", link.size_at, size)
        im.data += bytes(size - len(im.data))

    def check(_, got):
        try:
            os.readlink(got + "/link")
        except OSError:
            pass
        if os.readlink(got + "/long") != "u" * 4095:
            raise Wrong("the symlink that can be is another one")
        pids = [p for p in os.listdir("/proc") if p.isdigit() and tap.path("img").encode() in cmdline(p)]
        peak = [int(line.split()[1]) for line in get(f"/proc/{pids[0]}/status").decode().splitlines() if line.startswith("VmHWM")][0]
        if peak > 100 << 10:
            raise Wrong(f"erofsfuse takes {peak >> 10} MiB of memory")

    mounted(check, "-Eforce-inode-compact,nosbcrc", forge=forge)


def no_room():
    """A full $TMPDIR, where what is decompressed of fragments is kept, while several read: zeroes came out."""
    rnd = random.Random(1)
    data = [b" ".join(b"%d" % rnd.getrandbits(30) for _ in range(rnd.randrange(50, 1500))) for _ in range(400)]
    for n, d in enumerate(data):
        put(tap.path(f"dir/{n}"), d)
    must(MKFS, "--quiet", "-zlz4", "-Eall-fragments", "-C4096", tap.path("img"), tap.path("dir"))
    for name in "mnt", "tmp":
        os.makedirs(tap.path(name))
    must("mount", "-t", "tmpfs", "-o", "size=512k", "none", tap.path("tmp"))
    try:
        must("env", "TMPDIR=" + tap.path("tmp"), FUSE, tap.path("img"), tap.path("mnt"))
        try:
            read_for(20, data)
        finally:
            must("umount", tap.path("mnt"))
    finally:
        unmount(tap.path("tmp"))


def read_for(seconds, data):
    """Six processes read files past the page cache, and compare."""
    pids, end = [], time.monotonic() + seconds
    for seed in range(6):
        pid = os.fork()
        if not pid:
            rnd, buf, status = random.Random(seed), mmap.mmap(-1, 1 << 16), 0
            while not status and time.monotonic() < end:
                n = rnd.randrange(len(data))
                fd = os.open(tap.path(f"mnt/{n}"), os.O_RDONLY | os.O_DIRECT)
                size = os.preadv(fd, [buf], 0)
                os.close(fd)
                status = buf[:size] != data[n]
            os._exit(status)
        pids.append(pid)
    if any([os.waitpid(pid, 0)[1] for pid in pids]):
        raise Wrong("the contents are others")


def not_mounted():
    put(tap.path("dir/f"), b"x")
    os.makedirs(tap.path("mnt"))
    must(MKFS, "--quiet", tap.path("img"), tap.path("dir"))
    must_fail("no-such-option", FUSE, "-o", "no-such-option", tap.path("img"), tap.path("mnt"))
    for option in "--version", "-V", "--help", "-h":
        said = must(FUSE, option)
        if ("usage" in said) != (option in ("--help", "-h")):
            raise Wrong(said)


def closed_streams():
    """The daemon has /dev/null as standard streams, whatever was opened in their place."""
    put(tap.path("dir/f"), b"x" * 100000)
    for closed in "<&-", ">&-", "2>&-":
        mounted(lambda want, got: compare(snapshot(want), snapshot(got)), how=("sh", "-c", f'exec "$0" "$@" {closed}'))


def size():
    put(tap.path("dir/f"), b"x" * 100000)

    def judge(want, got):
        st = os.statvfs(got)
        if (st.f_frsize, st.f_blocks, st.f_files - st.f_ffree, st.f_bfree) != (4096, os.path.getsize(tap.path("img")) // 4096, 2, 0):
            raise Wrong(st)

    mounted(judge, "-b4096")


def xattrs_again():
    """Who asks for xattrs again and again does not make the server larger."""
    put(tap.path("dir/f"), b"")
    for n in range(20):
        os.setxattr(tap.path("dir/f"), f"user.{n}", b"x" * 100)

    def check(_, got):
        sizes = []
        for _ in range(2):
            for _ in range(20000):
                os.getxattr(got + "/f", "user.7")
            sizes.append(rss())
        if sizes[1] > sizes[0] + 512:
            raise Wrong(f"{sizes} KiB")

    mounted(check)


def rss():
    """What the last erofsfuse has in memory, in KiB."""
    pid = subprocess.run(["pgrep", "-n", "-f", FUSE + " " + tap.path("img")], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(line.split()[1] for line in f if line.startswith("VmRSS")))


def small_reads():
    put(tap.path("dir/f"), b"x" * 100000)
    mounted(lambda want, got: compare(snapshot(want), snapshot(got)), fuse=("-o", "max_read=4096"))
    must_fail("max_read=x", FUSE, "-o", "max_read=x", tap.path("img"), tap.path("mnt"))


# root of a container may not mount
probe = os.path.exists("/dev/fuse") and os.geteuid() == 0 and os.path.exists(FUSE) and shutil.which("umount") and \
    subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
for options in (), ("-zlz4", "-Eall-fragments,dedupe"), ("-b512", "-zdeflate", "-C8192", "--zD"), ("--chunksize=4096", "-E48bit"):
    if probe:
        tap.check("all is there: " + " ".join(options or ("no options",)), equal, *options)
    else:
        tap.skip("all is there", "no /dev/fuse, not root, no right to mount, or no erofsfuse")
for what in ("a directory of 100,000 names", large, 100000), ("a file whose nid is 0", first_nid), ("a symlink of 1 GiB", huge_symlink), \
        ("no room for what is decompressed", no_room), ("directories of 100,000 and 400,000 names are listed", listed, 100000), \
        ("permissions of others", others), ("small reads", small_reads), ("xattrs are asked for again", xattrs_again), \
        ("a standard stream is closed", closed_streams), ("what df(1) shows", size), \
        ("a name that is too long", long_name):
    if probe:
        tap.check(*what)
    else:
        tap.skip(what[0], "no /dev/fuse, not root, no right to mount, or no erofsfuse")
if os.path.exists(FUSE):
    tap.check("options that are no numbers, and arguments too many", wrong_options)
    tap.check("an exit status of 0 says that it is mounted", not_mounted)
tap.done()

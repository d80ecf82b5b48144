#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""fsck.erofs --extract onto what is there: nothing else is written to, and what is made is what the image says."""
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from taplib import FSCK, MKFS, Tap, Wrong, compare, get, must, must_fail, put, run, snapshot  # noqa: E402

tap = Tap()
ROOT = os.geteuid() == 0


def image(name, fill, *options):
    """An image of what @fill puts into a directory."""
    top = tap.path(name + ".d")
    os.mkdir(top)
    fill(top)
    must(MKFS, "--quiet", *options, tap.path(name), top)
    return tap.path(name)


def extract(img, *options, out="out"):
    must(FSCK, "--extract=" + tap.path(out), *options, img, timeout=10)


# --- --overwrite
def linked(top):
    put(top + "/one", b"1")
    os.link(top + "/one", top + "/two")
    os.symlink("one", top + "/soft")
    os.mkfifo(top + "/fifo")
    put(top + "/d/f", b"f")


def again():
    img = image("img", linked)
    for options in (), ("--overwrite",), ("--overwrite",):
        extract(img, *options)
    compare(snapshot(tap.path("img.d")), snapshot(tap.path("out")))
    must_fail("File exists", FSCK, "--extract=" + tap.path("out"), img)


KINDS = {
    "file": lambda p: put(p, b"new"),
    "symlink": lambda p: os.symlink("new", p),
    "fifo": os.mkfifo,
    "directory": os.mkdir,
}
OLD = dict(KINDS, file=lambda p: put(p, b"old"), symlink=lambda p: os.symlink("outside", p))
if ROOT:
    OLD["device"] = lambda p: os.mknod(p, 0o20666, os.makedev(1, 3))


def replace(old, new):
    """What was there is gone, and what it refers to is as it was."""
    put(tap.path("out/outside"), b"outside")
    OLD[old](tap.path("out/x"))
    extract(image("img", lambda top: KINDS[new](top + "/x")), "--overwrite")
    compare({"x": snapshot(tap.path("img.d"), False)["x"]}, {"x": snapshot(tap.path("out"), False)["x"]})
    if get(tap.path("out/outside")) != b"outside":
        raise Wrong("the target of the symlink was written to")


def outside():
    put(tap.path("outside"), b"outside")
    os.mkdir(tap.path("out"))
    os.link(tap.path("outside"), tap.path("out/f"))
    extract(image("img", lambda top: put(top + "/f", b"new")), "--overwrite")
    if get(tap.path("outside")) != b"outside" or get(tap.path("out/f")) != b"new":
        raise Wrong("the other name of the file was written to")


def by_name():
    img = image("img", lambda top: put(top + "/f", b"new"))
    put(tap.path("old"), b"old")
    os.mkfifo(tap.path("fifo"))
    extract(img, "--overwrite", "--path=/f", out="old")
    if get(tap.path("old")) != b"new":
        raise Wrong("the file that was given by name has not been replaced")
    must_fail("File exists", FSCK, "--overwrite", "--path=/f", "--extract=" + tap.path("fifo"), img, timeout=10)


tap.check("an image with links is extracted again", again)
for was in OLD:
    for now in KINDS:
        tap.check(f"--overwrite: a {now} in the place of a {was}", replace, was, now)
tap.check("--overwrite: a file that has another name outside", outside)
tap.check("--overwrite: what is given by name", by_name)


def failing():
    """What is refused leaves the directories that were there as they were."""
    img = image("img", lambda top: (put(top + "/d/e/f", b"new"), put(top + "/d/a", b"a")))
    put(tap.path("out/d/e/f"), b"old")
    for name, mode in ("out", 0o755), ("out/d", 0o2775), ("out/d/e", 0o1777):
        os.chmod(tap.path(name), mode)
    must_fail("File exists", FSCK, "--extract=" + tap.path("out"), img)
    compare({"out": 0o755, "d": 0o2775, "e": 0o1777},
            {n.split("/")[-1]: stat.S_IMODE(os.stat(tap.path(n)).st_mode) for n in ("out", "out/d", "out/d/e")})


def too_large():
    """A file that ulimit -f does not allow is an error like others."""
    img = image("img", lambda top: put(top + "/d/f", bytes(range(256)) * 256))
    os.makedirs(tap.path("out/d"))
    os.chmod(tap.path("out/d"), 0o755)
    must_fail("File too large", "prlimit", "--fsize=8192", FSCK, "--extract=" + tap.path("out"), "--overwrite", img)
    compare({"d": 0o755}, {"d": stat.S_IMODE(os.stat(tap.path("out/d")).st_mode)})


tap.check("directories after an error", failing)
tap.check("directories after a file that is too large", too_large)


# --- xattrs, owners, modes
NOBODY = 0xffffffff
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


def xattrs(path):
    return {k: os.getxattr(path, k) for k in os.listxattr(path)}


def capability():
    def fill(top):
        put(top + "/f", b"x")
        os.setxattr(top + "/f", "security.capability", CAPABILITY)
    extract(image("img", fill), "--xattrs")
    if xattrs(tap.path("out/f")).get("security.capability") != CAPABILITY:
        raise Wrong(f"xattrs are {xattrs(tap.path('out/f'))}")


def default_acl():
    def fill(top):
        os.makedirs(top + "/d/sub")
        put(top + "/d/f", b"x")
        os.chmod(top + "/d/f", 0o640)
        os.setxattr(top + "/d", "system.posix_acl_default",
                    acl((1, 7, NOBODY), (2, 7, 1234), (4, 5, NOBODY), (16, 7, NOBODY), (32, 5, NOBODY)))
    extract(image("img", fill), "--xattrs")
    for name in "d", "d/f", "d/sub":
        if xattrs(tap.path("out/" + name)) != xattrs(tap.path("img.d/" + name)):
            raise Wrong(f"{name}: {xattrs(tap.path('out/' + name))}")


def as_user(*args):
    """As a user who isn't root, in a directory of that user's."""
    os.chmod(tap.scratch, 0o755)
    os.makedirs(tap.path("user"))
    if ROOT:
        os.chown(tap.path("user"), 12345, 12345)
        args = ("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", *args)
    must(*args)


def user_xattrs():
    def fill(top):
        put(top + "/a", b"x")
        os.setxattr(top + "/a", "user.x", b"1")
        os.link(top + "/a", top + "/b")
        os.chmod(top + "/a", 0o444)
    img = image("img", fill)
    as_user(FSCK, "--xattrs", "--extract=" + tap.path("user/out"), img)
    for name in "a", "b":
        if xattrs(tap.path("user/out/" + name)) != {"user.x": b"1"}:
            raise Wrong(f"{name}: {xattrs(tap.path('user/out/' + name))}")


def closed():
    """The first name of a file is where its owner can't go."""
    def fill(top):
        put(top + "/d/e/a", b"x")
        os.link(top + "/d/e/a", top + "/z")
        os.chmod(top + "/d/e", 0o444)
        os.chmod(top + "/d", 0o600)
    img = image("img", fill)
    as_user(FSCK, "--extract=" + tap.path("user/out"), img)
    top = tap.path("user/out/")
    modes = [stat.S_IMODE(os.stat(top + d).st_mode) for d in ("d", "d/e")]
    if get(top + "z") != b"x" or os.stat(top + "z").st_nlink != 2 or modes != [0o600, 0o444]:
        raise Wrong(f"modes {modes}")


def no_devices():
    def fill(top):
        os.mknod(top + "/n", 0o20666, os.makedev(1, 3))
        os.setxattr(top + "/n", "trusted.x", b"1")
        os.link(top + "/n", top + "/n2")
        put(top + "/z", b"z")
    img = image("img", fill)
    as_user(FSCK, "--xattrs", "--extract=" + tap.path("user/out"), img)
    if os.listdir(tap.path("user/out")) != ["z"]:
        raise Wrong(str(os.listdir(tap.path("user/out"))))


def setuid(top):
    for name, uid in ("root", 0), ("other", 54321), ("user", 12345):
        put(top + "/" + name, b"x")
        os.chown(top + "/" + name, uid, uid)
        os.chmod(top + "/" + name, 0o6755)


def modes(top):
    return {n: stat.S_IMODE(os.stat(f"{top}/{n}").st_mode) for n in ("root", "other", "user")}


def setuid_root():
    img = image("img", setuid)
    extract(img)
    extract(img, "--no-preserve-owner", out="out2")
    compare({"root": 0o6755, "other": 0o6755, "user": 0o6755}, modes(tap.path("out")))
    compare({"root": 0o6755, "other": 0o755, "user": 0o755}, modes(tap.path("out2")))


def setuid_user():
    img = image("img", setuid)
    as_user(FSCK, "--extract=" + tap.path("user/out"), img)
    compare({"root": 0o755, "other": 0o755, "user": 0o6755}, modes(tap.path("user/out")))


# A user, who owns the directory of the first argument, exchanges d in it and the symlink l, when there is d/0.
EXCHANGE = """
import ctypes, os, sys, time
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None)
print("ready", flush=True)
end = time.monotonic() + 20
while time.monotonic() < end and not os.path.exists("d/0"):
    pass
while time.monotonic() < end:
    libc.renameat2(-100, b"d", -100, b"l", 2)
"""


def led_outside():
    """Root extracts to the directory of a user who would have the files elsewhere."""
    def fill(top):
        for n in range(20000):
            put(f"{top}/d/{n}", b"")
    img = image("img", fill)
    os.chmod(tap.scratch, 0o755)
    os.mkdir(tap.path("victim"))
    os.makedirs(tap.path("out/d"))
    os.symlink("../victim", tap.path("out/l"))
    for name in "out", "out/d":
        os.chown(tap.path(name), 12345, 12345)
    with subprocess.Popen(["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", sys.executable, "-c", EXCHANGE,
                           tap.path("out")], stdout=subprocess.PIPE) as user:
        try:
            user.stdout.readline()
            run(FSCK, "--no-preserve-owner", "--extract=" + tap.path("out"), img)
        finally:
            user.kill()
    if os.listdir(tap.path("victim")):
        raise Wrong(f"{len(os.listdir(tap.path('victim')))} files are in another directory")
    if os.stat(tap.path("out")).st_uid != 12345:
        raise Wrong("the user did not get his directory back")


REPLACE = """
import os, sys, time
os.chdir(sys.argv[1])
print("ready", flush=True)
end = time.monotonic() + 20
while time.monotonic() < end:
    try:
        os.rename("f", "old")
        with open("f", "w") as stream:
            stream.write("evil")
        break
    except OSError:
        pass
"""


def replaced():
    """Who owns a directory, and is in it, puts a file of his own where one with further names was,
    once it is complete."""
    def fill(top):
        put(top + "/a/f", b"root")
        put(top + "/b/large", os.urandom(60 << 20))
        os.mkdir(top + "/c")
        os.link(top + "/a/f", top + "/c/g")
        os.chown(top + "/a", 12345, 12345)
    img = image("img", fill)
    os.makedirs(tap.path("out/a"))
    os.chown(tap.path("out/a"), 12345, 12345)
    with subprocess.Popen(["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", sys.executable, "-c", REPLACE,
                           tap.path("out/a")], stdout=subprocess.PIPE) as user:
        try:
            if user.stdout.readline() != b"ready\n":
                raise Wrong("the user did not get there")
            run(FSCK, "--extract=" + tap.path("out"), img)
        finally:
            user.kill()
    if not os.path.exists(tap.path("out/a/old")):
        raise Wrong("the user was too late")
    if os.path.exists(tap.path("out/c/g")):
        if os.stat(tap.path("out/c/g")).st_uid or get(tap.path("out/c/g")) != b"root":
            raise Wrong("root's directory has a file of somebody else")
    elif get(tap.path("out/a/f")) != b"evil":
        raise Wrong("the other name is missing")


def interrupted(sig):
    """A directory that was there has its owner and mode again when a signal has ended extraction."""
    img = image("img", lambda top: [put(top + f"/d/f{n}", b"%d" % n) for n in range(4000)])
    out = tap.path("out")
    for _ in range(8):
        os.makedirs(out + "/d")
        os.chmod(out, 0o2775)
        before = os.stat(out)
        # a shell ignores SIGINT for what runs in its background, and nohup SIGHUP
        child = subprocess.Popen(["env", "--default-signal", FSCK, "--extract=" + out, "--force", img], stderr=subprocess.DEVNULL)
        while not os.listdir(out + "/d") and child.poll() is None:
            pass
        child.send_signal(sig)
        status, after = child.wait(timeout=20), os.stat(out)
        if status:
            break
        shutil.rmtree(out)      # on a busy machine it can be through before the signal comes
    if status != -sig or (after.st_mode, after.st_uid, after.st_gid) != (before.st_mode, before.st_uid, before.st_gid):
        raise Wrong(f"exit status {status}, mode {after.st_mode:o}, owner {after.st_uid}:{after.st_gid}")



def names_of_root():
    img = image("img", linked)
    for name in "/", "/.", "//", "/..", "/proc/self/root":
        must_fail("must be used together with --force", FSCK, "--extract=" + name, img)


def long_path():
    """What --path names is the beginning of what is compared, which has to fit."""
    img = image("img", lambda top: put(top + "/d/" + "f" * 200, b"1"), "--fingerprint")
    os.makedirs(tap.path("out"), 0o755)
    must_fail("too long", FSCK, "--fingerprint", "--extract=" + tap.path("out"), "--path=" + "/" * 3990 + "d", img)
    if stat.S_IMODE(os.stat(tap.path("out")).st_mode) != 0o755:
        raise Wrong(oct(os.stat(tap.path("out")).st_mode))


def onto_root():
    """--extract=/, in a directory that is the root of the process: / keeps its mode."""
    root = tap.path("root")
    os.mkdir(root, 0o755)
    img = image("img", lambda top: put(top + "/etc/new", b"1"))
    for path in [FSCK] + [w for w in must("ldd", FSCK).split() if w.startswith("/")]:
        os.makedirs(root + os.path.dirname(path), exist_ok=True)
        shutil.copy(path, root + path)
    shutil.copy(img, root + "/img")
    child = subprocess.run([FSCK, "--extract=/", "--force", "/img"], preexec_fn=lambda: os.chroot(root),
                           capture_output=True, text=True, check=False)
    mode = stat.S_IMODE(os.stat(root).st_mode)
    if child.returncode or mode != 0o755 or get(root + "/etc/new") != b"1":
        raise Wrong(f"exit status {child.returncode}, / has mode {mode:o}:\n{child.stderr}")


if ROOT and shutil.which("setpriv"):
    tap.check("onto the root directory", onto_root)
    tap.check("a user who leads what is extracted elsewhere", led_outside)
    tap.check("a user who replaces a file that has further names", replaced)
    tap.check("file capabilities outlive the owner", capability)
    tap.check("devices that a user can't make, with xattrs and two names", no_devices)
    tap.check("set-user-ID files, with and without their owners", setuid_root)
    tap.check("set-user-ID files, extracted by another user", setuid_user)
for sig in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
    tap.check(f"a directory after {sig.name}", interrupted, sig)
tap.check("names of the root directory", names_of_root)
tap.check("a path that is too long to be compared", long_path)
tap.check("default ACLs do not get at what is extracted later", default_acl)
tap.check("xattrs of a read-only file with two names", user_xattrs)
if ROOT and shutil.which("setpriv"):
    tap.check("a file with two names, one of them in a directory that can't be searched", closed)
tap.done()

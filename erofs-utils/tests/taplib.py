# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of the tools in Python have in common: TAP, running, comparing trees."""
import hashlib
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def paths(*names):
    """What paths.sh knows by these names."""
    script = '. "$0/paths.sh" && for n; do printf "%s\\0" "${!n}"; done'
    said = subprocess.run(["bash", "-c", script, HERE, *names], stdout=subprocess.PIPE, check=True).stdout
    return said.decode().split("\0")[:-1]


MKFS, FSCK, DUMP, BUILD = paths("MKFS", "FSCK", "DUMP", "BUILD")

# Sanitizers exit with a status of their own, which is never taken for an error of the tool.
SANITIZER = 99
os.environ["ASAN_OPTIONS"] = f"exitcode={SANITIZER}:detect_leaks=0:allocator_may_return_null=1"
os.environ["UBSAN_OPTIONS"] = f"exitcode={SANITIZER}:print_stacktrace=1"


class Wrong(Exception):
    """What a test point found."""


def run(*args, stdin=None, timeout=120, cpu=None, fsize=None):
    """Exit status and output; Wrong if the tool crashes, or does not end.

    timeout, cpu  in seconds, of CPU time
    fsize         no file gets larger, in bytes (ulimit -f); nobody ignores SIGXFSZ for the tool
    """
    limits = [(which, value) for which, value in ((resource.RLIMIT_CPU, cpu), (resource.RLIMIT_FSIZE, fsize)) if value is not None]

    def lower():
        for which, value in limits:
            resource.setrlimit(which, (value, value))

    try:
        p = subprocess.run(args, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                           preexec_fn=lower if limits else None)
    except subprocess.TimeoutExpired:
        raise Wrong(f"{args[0]} does not end in {timeout} s") from None
    said = p.stdout.decode(errors="replace")
    if cpu and p.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise Wrong(f"{' '.join(args)}: not done after {cpu} s of CPU time")
    if p.returncode < 0 or p.returncode in (SANITIZER, 134, 139):
        raise Wrong(f"{args[0]} crashes: status {p.returncode}\n{said[:3000]}")
    return p.returncode, said


def must(*args, **kw):
    rc, said = run(*args, **kw)
    if rc:
        raise Wrong(f"{' '.join(args)}: exit status {rc}\n{said}")
    return said


def must_fail(regex, *args, **kw):
    """The command fails with exit status 1 and says why."""
    rc, said = run(*args, **kw)
    if rc != 1 or not re.search(regex, said):
        raise Wrong(f"{' '.join(args)}: exit status {rc}, wanted an error that matches {regex!r}\n{said}")
    return said


def get(path):
    with open(path, "rb") as f:
        return f.read()


def put(path, data, sparse=()):
    """Write a file, and the directories above it; then pieces of it, (offset, bytes) each, with holes between."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
        for offset, piece in sparse:
            f.seek(offset)
            f.write(piece)


def snapshot(top, times=True):
    """Everything of a tree: name to (type, mode, time, contents); the first name of hard links."""
    found, first = {}, {}
    names = [top]
    for path, dirs, files in os.walk(top):
        names += [os.path.join(path, n) for n in sorted(dirs + files)]
    for name in names:
        st = os.lstat(name)
        key = os.path.relpath(name, top)
        what = [stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode)]
        if stat.S_ISREG(st.st_mode):
            with open(name, "rb") as f:
                what += [st.st_size, hashlib.sha256(f.read()).hexdigest()]
            if st.st_nlink > 1:
                what.append("link to " + first.setdefault((st.st_dev, st.st_ino), key))
        elif stat.S_ISLNK(st.st_mode):
            what.append(os.readlink(name))
        elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
            what.append((os.major(st.st_rdev), os.minor(st.st_rdev)))
        if times and not stat.S_ISLNK(st.st_mode) and key != ".":
            what.append(st.st_mtime_ns)
        found[key] = tuple(what)
    return found


def compare(want, got):
    wrong = [f"{k}: wanted {want.get(k)}, got {got.get(k)}" for k in sorted(want.keys() | got.keys())
             if want.get(k) != got.get(k)]
    if wrong:
        raise Wrong("\n".join(wrong[:8]))


class Tap:
    def __init__(self):
        self.count = self.failed = 0
        self.scratch = tempfile.mkdtemp()

    def path(self, name):
        return os.path.join(self.scratch, name)

    def check(self, name, function, *args, **kw):
        """One test point; a new scratch directory for each.  $TAP_ONLY is a regex of those to run."""
        if not re.search(os.environ.get("TAP_ONLY", ""), name):
            return
        self.count += 1
        work = self.scratch
        # shutil.rmtree() does not get down to the end of deep trees.
        subprocess.run(["rm", "-rf", "--", work], check=True)
        os.makedirs(work)
        try:
            function(*args, **kw)
            print(f"ok {self.count} - {name}")
        except (Wrong, OSError, ValueError) as e:
            self.failed += 1
            print(f"not ok {self.count} - {name}")
            for line in str(e).splitlines():
                print("#", line)
        sys.stdout.flush()

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}")

    def done(self):
        subprocess.run(["rm", "-rf", "--", self.scratch], check=True)
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)

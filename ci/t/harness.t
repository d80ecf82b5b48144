#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest harness: what goes wrong is seen and said, and nothing is left behind.

Prints TAP.  Each case that boots a guest runs qemu/vm as a user would, with a
folder for temporary files of its own and a mark on the kernel's command line by
which a QEMU that is left over is found.
"""
import concurrent.futures
import contextlib
import hashlib
import os
import pty
import random
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, "qemu"))
import guesttest    # noqa: E402
import harness      # noqa: E402

VM = os.path.join(TOP, "qemu", "vm")
KERNEL = os.environ.get("KERNEL") or harness.kernel_of("fast")
CASES = []


class Failed(Exception):
    """A check did not hold."""


def case(name):
    """Register a function as a test."""
    def register(function):
        CASES.append((name, function))
        return function
    return register


def expect(truth, *what):
    """Fail the case, with what was seen, unless `truth`."""
    if not truth:
        raise Failed("\n".join(str(w) for w in what))


class Place:
    """A folder for a case, and a mark by which its guests are found."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="harness-t.")
        self.tmp = os.path.join(self.path, "tmp")
        os.mkdir(self.tmp)
        self.mark = f"mark.{os.getpid()}.{random.getrandbits(48):x}"

    def image(self, size=2 << 20, name="image"):
        """A file of random bytes."""
        path = os.path.join(self.path, name)
        with open(path, "wb") as stream:
            stream.write(os.urandom(size))
        return path

    def command(self, *args, program=()):
        """qemu/vm run with our mark."""
        return [VM, "run", "--kernel", KERNEL, "--append", self.mark, *args, "--", *program]

    def start(self, *args, program=()):
        """Start qemu/vm run."""
        return subprocess.Popen(self.command(*args, program=program), env=dict(os.environ, TMPDIR=self.tmp),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, cwd=self.path)

    def run(self, *args, program=()):
        """Run qemu/vm run; returns (status, output) after checking that nothing is left."""
        process = self.start(*args, program=program)
        try:
            output = process.communicate(timeout=180)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed("qemu/vm itself hung for 180 s", process.communicate()[0]) from None
        self.nothing_left(output)
        return process.returncode, output

    def fails(self, program, *texts, options=()):
        """Run qemu/vm run, which has to end with status 1 and to say each of `texts`."""
        status, output = self.run(*options, program=program)
        expect(status == 1, status, output)
        seen(output, *texts)

    def guests(self):
        """Pids of the QEMU processes that carry our mark."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/cmdline", "rb") as stream:
                    words = stream.read().split(b"\0")
                if b"qemu" in words[0] and any(self.mark.encode() in w for w in words):
                    found.append(int(pid))
        return found

    def nothing_left(self, output=""):
        """No guest, no temporary file."""
        expect(not self.guests(), f"QEMU is left: {self.guests()}", output)
        expect(not os.listdir(self.tmp), f"temporary files are left: {os.listdir(self.tmp)}", output)

    def remove(self):
        """Remove the folder, and guests if there are any after all."""
        for pid in self.guests():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.path)


def seen(output, *texts):
    """Each of `texts` (a regular expression) is in the output."""
    for text in texts:
        expect(re.search(text, output, re.MULTILINE), f"no match for: {text}", output)


def wait_for(what, seconds, say):
    """Wait until what() is true."""
    end = time.monotonic() + seconds
    while not what():
        expect(time.monotonic() < end, say)
        time.sleep(0.05)


# -- what a guest does

@case("a program's output, results and status come out")
def _(place):
    status, out = place.run(program=["sh", "-c", 'echo "to \\"stdout\\" é"; echo to stderr >&2; '
                                     'guestctl result \'{"a": [1, 2]}\'; exit 7'])
    expect(status == 7, status, out)
    seen(out, '^to "stdout" é$', "^to stderr$", r'^\{"a": \[1, 2\]\}$', "sh ended with status 7")
    status, out = place.run("--json", program=["sh", "-c", "seq 1 20000 | tr '\\n' , | "
                                               "sed 's/.*/[&0]/' | guestctl result -"])
    expect(status == 0 and out.count("\n") > 20000, status, out[-500:])


@case("a program that a signal ends, and one that is not there")
def _(place):
    status, out = place.run(program=["sh", "-c", "kill -SEGV $$"])
    expect(status == 128 + signal.SIGSEGV, status, out)
    seen(out, "sh ended with signal 11")
    status, out = place.run(program=["no-such-program"])
    expect(status == 127, status, out)
    seen(out, "no-such-program: No such file or directory")


@case("a program of the host and a file are put into the guest")
def _(place):
    script = os.path.join(place.path, "script")
    with open(script, "w", encoding="ascii") as stream:
        stream.write("#!/bin/sh\ncat /root/data /etc/other; echo $1 $VALUE\n")
    os.chmod(script, 0o755)
    data = place.image(0, "data")
    with open(data, "w", encoding="ascii") as stream:
        stream.write("the data\n")
    status, out = place.run("--file", data, "--file", data + ":/etc/other", "--env", "VALUE=v",
                            program=[script, "argument"])
    expect(status == 0, status, out)
    seen(out, "^the data\nthe data\nargument v$")


@case("a guest that panics is a failure with its console")
def _(place):
    place.fails(["sh", "-c", "echo c > /proc/sysrq-trigger"],
                "guest 0: the guest panicked: .*Kernel panic - not syncing: sysrq triggered crash",
                r"\| .*Call Trace:")


@case("a kernel warning is a failure, though the program succeeds")
def _(place):
    for options in ([], ["--append", place.mark + " panic_on_warn=0"]):
        place.fails(["sh", "-c", "echo WARNING > /sys/kernel/debug/provoke-crash/DIRECT; exit 0"],
                    "guest 0: the guest printed a kernel warning: WARNING: .*lkdtm_WARNING",
                    r"\| .*Call Trace:", options=options)


@case("a kernel BUG is a failure")
def _(place):
    place.fails(["sh", "-c", "echo BUG > /sys/kernel/debug/provoke-crash/DIRECT"],
                "guest 0: the guest printed a kernel warning: .*kernel BUG at .*lkdtm")


@case("a program that hangs runs out of time, and what it waits for is shown")
def _(place):
    place.fails(["sleep", "1000"], "guest 0: no end within the time limit of 6 s", "the time limit is reached",
                "sysrq: Show Blocked State", options=["--timeout", "6"])


@case("a kernel that hangs runs out of time, and shows where")
def _(place):
    place.fails(["sh", "-c", "echo HARDLOCKUP > /sys/kernel/debug/provoke-crash/DIRECT"],
                "guest 0: no end within the time limit of 6 s", "lkdtm_HARDLOCKUP", options=["--timeout", "6"])


@case("a guest that never gets to its init is a failure")
def _(place):
    place.fails(["true"], "guest 0: the guest panicked: .*(No working init|Unable to mount root)",
                options=["--append", place.mark + " rdinit=/nope"])


@case("a device that the kernel does not show is a failure that names it")
def _(place):
    place.fails(["true"], "guest 0: the kernel shows no block device for blk0",
                options=["--device", "blk:" + place.image(),
                         "--append", place.mark + " initcall_blacklist=virtio_blk_init"])
    place.fails(["true"], "guest 0: the kernel shows no DAX device for carveout0.*CONFIG_DEV_DAX_RAMDAX",
                options=["--device", "carveout:" + place.image() + ",as=ramdax",
                         "--append", place.mark + " initcall_blacklist=ramdax_init"])


@case("a result that is no JSON is a failure that quotes it")
def _(place):
    place.fails(["sh", "-c", "guestctl result '{broken'; sleep 20"],
                "guest 0: sent a line that is no JSON result: .*broken")


# -- several guests

@case("guests meet at barriers; their QEMU pids are known there")
def _(place):
    met = []

    def barrier(name, guests):
        met.append((name, [g.pid for g in guests]))
        for g in guests:
            os.kill(g.pid, 0)
        expect(sorted(place.guests()) == sorted(g.pid for g in guests), "other guests than said")

    guests = [harness.Guest(KERNEL, ["sh", "-c", "guestctl ready one && guestctl ready && guestctl result $GUEST_ID"],
                            append=place.mark) for _ in range(3)]
    expect(harness.run(guests, barrier), [g.report() for g in guests])
    expect([n for n, _ in met] == ["one", "ready"] and len(set(met[0][1])) == 3, met)
    expect([g.results for g in guests] == [[0], [1], [2]], [g.results for g in guests])
    expect(all(g.pid is None for g in guests), "a guest still has a pid")
    place.nothing_left()


@case("a guest that ends while another waits at a barrier is a failure, at once")
def _(place):
    before = time.monotonic()
    status, out = place.run("--guests", "2", "--timeout", "100", program=[
        "sh", "-c", "[ $GUEST_ID = 0 ] || guestctl ready"])
    expect(status == 1 and time.monotonic() - before < 60, status, out)
    seen(out, "guest 0: ended while guest 1 waits at barrier 'ready'", "0 of 2 guests ended well")


@case("an exception in the barrier's callback leaves no guest")
def _(place):
    def barrier(name, guests):
        raise RuntimeError("on purpose")

    guests = [harness.Guest(KERNEL, ["guestctl", "ready"], append=place.mark) for _ in range(2)]
    try:
        harness.run(guests, barrier)
    except RuntimeError:
        place.nothing_left()
        return
    raise Failed("the exception was swallowed")


# -- interruption

def interrupt(place, signum, after, want):
    """Send a signal to qemu/vm once after() says so; check status and leftovers."""
    process = place.start("--guests", "2", "--device", "pmem:" + place.image(), "--device", "disk:8M",
                          program=["sh", "-c", "echo running; sleep 100"])
    try:
        after(process)
        process.send_signal(signum)
        before = time.monotonic()
        out = process.communicate(timeout=30)[0]
    finally:
        process.kill()
        process.wait()
    expect(time.monotonic() - before < 5, "it took more than 5 s to end")
    if want is None:
        wait_for(lambda: not place.guests(), 5, "QEMU outlives its harness")
    else:
        expect(process.returncode == want, process.returncode, out)
        expect("Traceback" not in out, out)
    place.nothing_left(out)


def when_running(process):
    """Wait for the first line of the guests' program."""
    for line in process.stdout:
        if "running" in line:
            return
    raise Failed("the guests never ran")


def when_starting(place):
    """Wait for the first QEMU."""
    return lambda process: wait_for(place.guests, 30, "no QEMU came up")


@case("Ctrl-C while guests run")
def _(place):
    interrupt(place, signal.SIGINT, when_running, 130)


@case("Ctrl-C while guests boot")
def _(place):
    interrupt(place, signal.SIGINT, when_starting(place), 130)


@case("Ctrl-C before there are guests")
def _(place):
    # A pipe for a base initramfs holds the harness in this phase.
    build = os.path.join(place.path, "build")
    os.makedirs(build + "/guest")
    os.mkfifo(build + "/guest/base.cpio")
    process = subprocess.Popen(place.command(program=["true"]), stdin=subprocess.DEVNULL, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=place.path,
                               env=dict(os.environ, TMPDIR=place.tmp, BUILD=build, ACCEL="tcg"))
    # It is there when the pipe can be opened for writing.
    fd = -1
    try:
        def reading():
            nonlocal fd
            with contextlib.suppress(OSError):
                fd = os.open(build + "/guest/base.cpio", os.O_WRONLY | os.O_NONBLOCK)
            return fd >= 0
        wait_for(reading, 10, "qemu/vm did not start")
        process.send_signal(signal.SIGINT)
        out = process.communicate(timeout=30)[0]
    finally:
        process.kill()
        process.wait()
        if fd >= 0:
            os.close(fd)
    expect(process.returncode == 130 and "Traceback" not in out, process.returncode, out)
    place.nothing_left(out)


@case("SIGTERM while guests run")
def _(place):
    interrupt(place, signal.SIGTERM, when_running, 143)


@case("SIGKILL of the harness leaves no QEMU")
def _(place):
    interrupt(place, signal.SIGKILL, when_running, None)


@case("SIGKILL of a QEMU is a failure of its guest")
def _(place):
    process = place.start("--timeout", "60", program=["sh", "-c", "echo running; sleep 100"])
    when_running(process)
    for pid in place.guests():
        os.kill(pid, signal.SIGKILL)
    out = process.communicate(timeout=30)[0]
    expect(process.returncode == 1, process.returncode, out)
    seen(out, "guest 0: QEMU ended with signal 9")
    place.nothing_left(out)


TOOL = """import sys; sys.path.insert(0, sys.argv[1]); import harness
try:
    with harness.interruptible():
        harness.make_once([sys.argv[2]], [], ["sh", "-c", sys.argv[3]], "a file")
except harness.Interrupted as error:
    sys.exit(128 + error.signum)
"""


@case("what is made for a run is whole or not there, whatever signal comes")
def _(place):
    result, half = os.path.join(place.path, "result"), os.path.join(place.tmp, "half")
    # Not one long sleep: dash starts it, and waits, when the signal comes just before.
    slow = (f"trap 'rm -f {half}; exit 130' INT TERM; : > {half}; : > {result}; "
            "for i in $(seq 1000); do sleep 0.1; done")
    tool = [sys.executable, "-B", "-c", TOOL, os.path.join(TOP, "qemu"), result]
    for command, status in (([*tool, slow], (130, 143)), ([os.path.join(TOP, "ci", "whole"), "sh", "-c", slow], (130, 130))):
        for signum, want in zip((signal.SIGINT, signal.SIGTERM), status):
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, env=dict(os.environ, MARK=place.mark),
                                       # what runs in the background may have been told to ignore it
                                       preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            try:
                wait_for(lambda: os.path.exists(half), 20, "the tool did not start")
                process.send_signal(signum)
                expect(process.wait(20) == want, command, process.returncode)
            finally:
                process.kill()
                process.wait()
            expect(not os.path.exists(half), "the tool did not clean up", command)
            left = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if marked(pid, place.mark)]
            expect(not left, f"processes are left: {left}", command)
    # The result is there, but half of it: it is made anew, and then kept.
    for words in ("echo whole > " + result, "exit 9"):
        expect(subprocess.run([*tool, words], check=False, stderr=subprocess.DEVNULL).returncode == 0, words)
    with open(result, encoding="ascii") as stream:
        expect(stream.read() == "whole\n")


def marked(pid, mark):
    """Has the process `mark` in its environment?"""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as stream:
        return mark.encode() in stream.read()
    return False


# -- images

@case("no guest can write to an image by its device")
def _(place):
    image = place.image(4 << 20)
    with open(image, "rb") as stream:
        before = hashlib.sha256(stream.read()).digest()
    status, out = place.run(
        "--device", "pmem:" + image, "--device", "nvdimm:" + image, "--device", "carveout:" + image + "@0x180000000",
        "--device", "carveout:" + image + ",as=ramdax", "--device", "blk:" + image, program=[
            "sh", "-c", "cat /harness/devices; test -c /dev/harness/carveout1 || exit 9; for d in /dev/harness/*; do blockdev --setrw $d; "
            "dd if=/dev/urandom of=$d bs=4096 count=4 conv=fsync; done; cat /proc/mounts > /dev/null; "
            "dd if=/dev/urandom of=/dev/mem bs=4096 seek=$((0x180000000 / 4096)) count=4 conv=notrunc; "
            "cmp -n 4096 /dev/harness/pmem0 /dev/harness/blk0; exit 0"])
    seen(out, "^carveout0 memory 0x180000000 4194304$", "^carveout1 ramdax carveout1$")
    with open(image, "rb") as stream:
        expect(hashlib.sha256(stream.read()).digest() == before, "the image has changed", out)
    expect(status == 0, status, out)


@case("a scratch disk keeps what is written, and a throttled disk is slow")
def _(place):
    status, out = place.run(
        "--device", "disk:16M", "--device", "blk:" + place.image(2 << 20) + ",bps=1M", program=[
            "sh", "-c", "dd if=/bin/busybox of=/dev/harness/disk0 bs=64k count=8 conv=fsync 2>/dev/null; "
            "echo 3 > /proc/sys/vm/drop_caches; cmp -n 524288 /bin/busybox /dev/harness/disk0 || exit 9; "
            "a=$(cut -d. -f1 /proc/uptime); dd if=/dev/harness/blk0 of=/dev/null bs=64k; "
            "b=$(cut -d. -f1 /proc/uptime); echo took $((b - a)); [ $((b - a)) -ge 1 ]"])
    expect(status == 0, status, out)


@case("16 guests at a time")
def _(place):
    status, out = place.run("--guests", "16", "--timeout", "150", "--memory", "96M", "--device",
                            "pmem:" + place.image(), program=["sh", "-c", "guestctl ready; echo is $GUEST_ID"])
    expect(status == 0, status, out)
    expect({int(n) for n in re.findall(r"is (\d+)$", out, re.MULTILINE)} == set(range(16)), out)


@case("under --icount two runs count nearly the same instructions")
def _(place):
    counts = []
    for _ in range(2):
        status, out = place.run("--icount", program=[
            "sh", "-c", "cut -d' ' -f1 /proc/uptime; i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done; "
            "cut -d' ' -f1 /proc/uptime"])
        expect(status == 0, status, out)
        first, last = (float(x) for x in re.findall(r"^[0-9.]+$", out, re.MULTILINE))
        counts.append(last - first)
    expect(abs(counts[0] - counts[1]) <= 0.02 * max(counts) + 0.02, counts)


@case("a guest that a busy host starves is not taken for one that hangs")
def _(place):
    program = ["sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done"]
    # What it needs of a processor, however busy this machine is already.
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])    # noqa: E731
    needs = used()
    status, out = place.run(program=program)
    needs = used() - needs
    expect(status == 0, status, out)
    # Then hogs and the guest on one CPU of the host, where it gets a fifth.  Each
    # hog is a session of its own: a kernel with autogroups shares out by session.
    limit = 1.4 * needs
    cpu = {min(os.sched_getaffinity(0))}
    hogs = [subprocess.Popen(["sh", "-c", "while :; do :; done"], start_new_session=True,
                             preexec_fn=lambda: os.sched_setaffinity(0, cpu)) for _ in range(4)]
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cpu)
        start = time.monotonic()
        status, out = place.run("--timeout", f"{limit:.1f}", program=program)
        seconds = time.monotonic() - start
    finally:
        os.sched_setaffinity(0, before)
        for hog in hogs:
            hog.kill()
            hog.wait()
    expect(status == 0, status, out)
    expect(seconds > limit, f"it took only {seconds:.1f} s, and it needs {needs:.1f} s: this shows nothing")


# -- the shell

@case("vm shell: images are mounted, Ctrl-C reaches the guest, the terminal is as before")
def _(place):
    image = guesttest.make_image("tree")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(VM, [VM, "shell", "--kernel", KERNEL, "--append", place.mark, "--device", "pmem:" + image])
    mode = termios.tcgetattr(terminal)
    text = b""

    def until(pattern):
        nonlocal text
        end = time.monotonic() + 40
        while not (match := re.search(pattern, text)):
            ready = select.select([terminal], [], [], max(0, end - time.monotonic()))[0]
            expect(ready, f"no match for {pattern}", text.decode("utf-8", "replace"))
            try:
                text += os.read(terminal, 4096)
            except OSError:
                # EIO: the other end is closed.
                raise Failed(f"it ended without {pattern}", text.decode("utf-8", "replace")) from None
        text = text[match.end():]

    try:
        until(rb"pmem0 is mounted on /mnt/pmem0 \(ro,dax=always\)")
        until(rb"/mnt # ")
        os.write(terminal, b"sleep 1000; echo back $?\r")
        until(rb"back \$\?\r")
        time.sleep(1)
        os.write(terminal, b"\x03")
        until(rb"/mnt # ")
        os.write(terminal, b"cat pmem0/deep/a/b/c/d/e/file; exit 3\r")
        until(rb"deep\r+\n")
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        pid = 0
        expect(status == 0, status)
        expect(termios.tcgetattr(terminal) == mode, "the terminal has another mode")
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(terminal)
    place.nothing_left()


@case("vm shell without a terminal is refused")
def _(place):
    done = subprocess.run([VM, "shell", "--kernel", KERNEL], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    expect(done.returncode == 2, done.stdout)
    seen(done.stdout, "the shell needs a terminal")


# -- wrong use

@case("wrong use is refused with status 2, a reason and no guest")
def _(place):
    image, odd = place.image(), place.image(12345, "odd")
    large = place.image(4 << 20, "large")
    for args, text in (
            (["--guests", "0"], "0 guests: between 1 and 16"),
            (["--guests", "17"], "17 guests: between 1 and 16"),
            (["--guests", "x"], "invalid int value"),
            (["--device", "pmem:/no/such"], "/no/such: No such file or directory"),
            (["--device", "pmem:" + place.path], "Is a directory"),
            (["--device", "pmem:/dev/null"], "is no regular file"),
            (["--device", "pmem:"], "No such file or directory"),
            (["--device", "pmem:" + odd], "12345 bytes, .* multiple of 2 MiB; 'truncate -s %2M"),
            (["--device", "blk:" + odd], "multiple of 512 bytes"),
            (["--device", "floppy:" + image], "KIND is one of pmem, nvdimm, carveout, blk"),
            (["--device", image], "write KIND:IMAGE"),
            (["--device", f"pmem:{image},bps=1M"], "pmem has no option 'bps'"),
            (["--device", f"blk:{image},bps=fast"], "'fast' is no size"),
            (["--device", f"blk:{image},bps=0"], "bps must be above 0"),
            (["--device", f"carveout:{image},as=ram"], "as= is pmem, ramdax or none"),
            (["--device", f"nvdimm:{image},as=none"], "as= is pmem or ramdax"),
            (["--device", f"carveout:{image}@0x200000"], "must lie outside guest RAM"),
            (["--device", f"carveout:{image}@0x140001000"], "no multiple of 2 MiB"),
            (["--device", f"carveout:{image}@here"], "'here' is no address"),
            (["--device", f"carveout:{image}@0xfffffff00000000"], "must lie outside guest RAM"),
            (["--device", f"carveout:{large}@0x140000000", "--device", f"carveout:{image}@0x140200000"], "overlaps"),
            (["--device", "disk:0"], "multiple of 512 bytes, above 0"),
            (["--device", "disk:12"], "multiple of 512 bytes, above 0"),
            (["--memory", "lots"], "'lots' is no size"),
            (["--memory", "1M"], "at least 64M"),
            (["--timeout", "0"], "time limit must be above 0"),
            (["--timeout", "nan"], "time limit must be above 0"),
            (["--icount", "--cpus", "2"], "exactly one under --icount"),
            (["--file", "/no/such"], "file /no/such for the guest: No such file"),
            (["--env", "NOVALUE"], "write NAME=VALUE"),
            (["--append", "x={carveout7.address}"], "no such device or field"),
            (["--devicetree", "/no/such"], "device tree /no/such: No such file"),
            (["--devicetree", os.path.join(TOP, "Makefile")], "device tree .*: Error: .*syntax error"),
            (["--devicetree", os.path.join(TOP, "qemu/tests/ramdax-devicetree.dts")],
             "no device has {carveout0.address}"),
            (["--log", "/proc/nope"], "No such file or directory"),
            (["--kernel", "/no/such"], "No such file or directory; 'make kernel' builds one"),
            (["--kernel", "/bin/sh"], "/bin/sh is no x86 kernel")):
        status, out = place.run(*args, program=["true"])
        expect(status == 2, args, status, out)
        seen(out, text)
        expect("Traceback" not in out, args, out)
    status, out = place.run()
    expect(status == 2, status, out)
    seen(out, "name a program to run")


@case("no QEMU, a wrong ACCEL and a missing initramfs say what to do")
def _(place):
    for change, text in (({"QEMU": "/no/such/qemu"}, "not installed; 'make packages'"),
                         ({"ACCEL": "fast"}, "ACCEL=fast: it is kvm or tcg"),
                         ({"BUILD": place.tmp, "ACCEL": "tcg"}, "base.cpio: .*'make guest' builds it")):
        done = subprocess.run(place.command(program=["true"]), env=dict(os.environ, **change), cwd=place.path,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        expect(done.returncode == 2, done.returncode, done.stdout)
        seen(done.stdout, text)
        place.nothing_left(done.stdout)


@case("what QEMU refuses is said in its words")
def _(place):
    status, out = place.run("--cpu", "no-such-cpu", program=["true"])
    expect(status == 1, status, out)
    seen(out, "guest 0: QEMU ended with status 1: .*no-such-cpu")


@case("guests run without privileges")
def _(place):
    if os.getuid() != 0:
        return      # then every other case has shown it
    folder = os.path.join(place.path, "user")
    os.makedirs(folder + "/build/guest")
    shutil.copytree(os.path.join(TOP, "qemu"), folder + "/qemu")
    shutil.copy(os.path.join(harness.build_dir(), "guest", "base.cpio"), folder + "/build/guest")
    shutil.copy(KERNEL, folder + "/kernel")
    image = place.image(2 << 20, "user/image")
    subprocess.run(["chmod", "-R", "a+rX", place.path], check=True)
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", folder + "/qemu/vm", "run", "--kernel",
         folder + "/kernel", "--append", place.mark, "--device", "pmem:" + image, "--device", "disk:1M", "--", "true"],
        env=dict(os.environ, BUILD=folder + "/build", ACCEL="tcg", HOME=folder), cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    expect(done.returncode == 0, done.returncode, done.stdout)
    place.nothing_left(done.stdout)


# -- the rules of judging, without a guest

@case("each kind of kernel complaint is recognised, and harmless lines are not")
def _(_place):
    bad = """[    1.271654] WARNING: CPU: 0 PID: 1 at fs/dax.c:390 dax_insert_entry+0x2a1/0x2d0
[    1.2] BUG: KASAN: slab-use-after-free in erofs_read+0x1/0x2
[    1.2] BUG: kernel NULL pointer dereference, address: 0000000000000008
[   12.3] BUG: unable to handle page fault for address: ffffc900000f8000
[    2.0][    T1] BUG: sleeping function called from invalid context at mm/util.c:1
WARNING: possible circular locking dependency detected
[    1.0] WARNING: suspicious RCU usage
[    1.0] kernel BUG at fs/erofs/data.c:1!
[    1.0] Oops: invalid opcode: 0000 [#1] PREEMPT SMP KASAN
[    1.0] general protection fault, probably for non-canonical address 0xdffffc0000000000: 0000 [#1]
[   61.0] INFO: task mount:31 blocked for more than 60 seconds.
[   22.0] rcu: INFO: rcu_preempt self-detected stall on CPU
[   22.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   26.0] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [sh:1]
[   10.0] kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
[    3.0] UBSAN: array-index-out-of-bounds in fs/erofs/zmap.c:1:2
[    0.9] BUG kmalloc-64 (Not tainted): Redzone overwritten
[    0.9] Kernel panic - not syncing: Attempted to kill init!"""
    good = """[    0.0] Spectre V2 : WARNING: Unprivileged eBPF is enabled
[    0.0] MDS: Vulnerable: Clear CPU buffers attempted, no microcode
[    0.0] x86/cpu: CPU BUG: none
[    1.0] erofs: (device pmem0): WARNING is only a word here
[    1.0] FAULT_INJECTION: forcing a failure.
[    1.0] Memory failure: 0x100000: recovery action for clean LRU page: Recovered
[    1.0] reboot: Restarting system"""
    for line in bad.splitlines():
        expect(harness.SPLAT.match(line), "not recognised: " + line)
    for line in good.splitlines():
        expect(not harness.SPLAT.match(line), "taken for a complaint: " + line)


@case("KTAP is judged by its rules")
def _(_place):
    for text, problem, skip in (
            ("KTAP version 1|1..2|ok 1 - a|ok 2 - b", None, None),
            ("1..2|ok 1 - a|not ok 2 - b", "1 of 2 results are not ok", None),
            ("1..2|ok 1 - a", "it printed 1 of 2 results", None),
            ("1..1|ok 1|ok 2", "it printed 2 of 1 results", None),
            ("1..2|ok 1 - a|ok 3 - b", "result 2 has number 3", None),
            ("ok 1 - a", "it printed no plan", None),
            ("", "it printed no plan", None),
            ("1..1|1..1|ok 1", "it printed two plans", None),
            ("1..0 # SKIP no device", None, "no device"),
            ("1..2|ok 1 - a # SKIP why|ok 2 - b # SKIP other", None, "why"),
            ("1..2|ok 1 - a # SKIP why|ok 2 - b", None, None),
            ("1..1|not ok 1 - a # TODO later", None, None),
            ("1..1|Bail out! no more", "Bail out! no more", None),
            ("1..1|  not ok 1 - of a subtest|ok 1 - a", None, None)):
        got = guesttest.judge(text.split("|"))
        expect((got[0] or "").startswith(problem or "") and bool(got[0]) == bool(problem) and got[1] == skip,
               text, got)


SPEC = """# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: a test of the tests
%s
. /harness/ktap.sh
check "good" true
check "second" %s
skip "third" "no reason"
%s
done_testing
"""


def guest_test(place, head, command, tail="", name="probe.sh"):
    """Run a test made here. Returns its Result."""
    path = os.path.join(place.path, name)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(SPEC % (head, command, tail))
    run = guesttest.Run(KERNEL, "fast", os.path.join(place.path, "log"))
    group = run.group(guesttest.Spec(path))
    if isinstance(group, guesttest.Result):
        return group
    harness.run_groups([group])
    place.nothing_left()
    return run.judge(group)


@case("a guest test passes, fails with its reason, and leaves a log only if it fails")
def _(place):
    head = f"# append: {place.mark}"
    good = guest_test(place, head, "true")
    expect(not good.problem and not good.skip, good.problem, good.skip, good.detail)
    expect(not os.path.exists(place.path + "/log/probe.log"), "a log is left")
    bad = guest_test(place, head, "sh -c 'echo the reason; exit 4'")
    expect(bad.problem == "1 of 3 results are not ok", bad.problem, bad.detail)
    seen("\n".join(bad.detail), "^# the reason$", "^# status 4: ", "^not ok 2 - second$", "probe.log")
    expect(os.path.exists(place.path + "/log/probe.log"), "there is no log")
    dead = guest_test(place, head, "true", "echo c > /proc/sysrq-trigger")
    expect("panicked" in (dead.problem or ""), dead.problem, dead.detail)
    lost = guest_test(place, head, "true", "mount -t tmpfs t /sys/kernel/debug; : > /sys/kernel/debug/kmemleak; "
                                           "leaks none")
    seen("\n".join(lost.detail), "^# scan$", "^not ok 4 - none$")
    status = guest_test(place, head, "true", "exit 5")
    expect("status 5" in (status.problem or ""), status.problem)


@case("a guest test is skipped for a kernel that cannot run it, with the reason")
def _(place):
    for head, reason in (("# config: NO_SUCH_OPTION", "the kernel has no CONFIG_NO_SUCH_OPTION"),
                         ("# config: EROFS_FS !PRINTK", "the kernel has CONFIG_PRINTK"),
                         ("# flavours: debug", "it is for the flavour debug")):
        expect(guest_test(place, head, "true").skip == reason, head)


@case("a wrong declaration of a guest test is refused with its line")
def _(place):
    for head, reason in (("# divice: pmem:x", "probe.sh:4: 'divice:' is no key"),
                         ("# memory: 64M\n# memory: 64M", "probe.sh:5: 'memory:' is given twice"),
                         ("# device: pmem:x", "probe.sh:4: no 'image:' line makes 'x'"),
                         ("# image: x no-such-recipe", "probe.sh:4: there is no recipe"),
                         ("# timeout: soon", "probe.sh:4: timeout is a whole number"),
                         ("# flavours: slow", "probe.sh:4: flavours are fast and debug")):
        try:
            guest_test(place, head, "true")
        except harness.HarnessError as error:
            expect(reason in str(error), reason, error)
            continue
        raise Failed(f"accepted: {head}")


@case("qemu/vm test: names, lists, TAP")
def _(place):
    def vm(*args):
        done = subprocess.run([VM, "test", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, env=dict(os.environ, TMPDIR=place.tmp))
        return done.returncode, done.stdout
    status, out = vm("no-such-test")
    expect(status == 2, out)
    seen(out, "no guest test 'no-such-test'; there are: .*backends", "make new-test NAME=no-such-test")
    status, out = vm()
    expect(status == 2, out)
    seen(out, "name the tests to run, or give --all")
    status, out = vm("--list")
    expect(status == 0, out)
    seen(out, "^backends +[a-z]")
    status, out = vm("--tap", "overlay-exec", "--kernel", KERNEL)
    expect(status == 0, out)
    seen(out, "^1..1\nok 1 - overlay-exec: ")


def attempt(name, function):
    """Run one case. Returns (name, None or what was wrong)."""
    place = Place()
    try:
        function(place)
        return name, None
    except Failed as error:
        return name, str(error)
    except Exception as error:      # noqa: BLE001 - a case that dies is one that failed
        return name, f"{type(error).__name__}: {error}"
    finally:
        place.remove()


def main():
    """Run the cases that match the arguments, or all."""
    wanted = [(n, f) for n, f in CASES if not sys.argv[1:] or any(a in n for a in sys.argv[1:])]
    print(f"1..{len(wanted)}", flush=True)
    if os.path.exists(KERNEL):
        # Once, before cases run at the same time.
        os.environ.setdefault("ACCEL", harness.find_accel(KERNEL))
    failed = 0
    # Processes, not threads: signal handling belongs to a main thread.
    with concurrent.futures.ProcessPoolExecutor(max_workers=2) as pool:
        for number, future in enumerate([pool.submit(run_case, CASES.index(c)) for c in wanted], 1):
            name, problem = future.result()
            print(f"{'not ok' if problem else 'ok'} {number} - {name}")
            if problem:
                failed += 1
                print("".join(f"# {line}\n" for line in problem.splitlines()[:60]), end="")
            sys.stdout.flush()
    return 1 if failed else 0


def run_case(index):
    """attempt() by number, for another process."""
    return attempt(*CASES[index])


if __name__ == "__main__":
    sys.exit(main())

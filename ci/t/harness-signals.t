#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest harness: whatever interrupts it, no guest and no process is left.

Prints TAP.
"""
import contextlib
import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../helpers"))
import cases    # noqa: E402
from cases import TOP, Failed, case, expect, seen, wait_for    # noqa: E402


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


if __name__ == "__main__":
    sys.exit(cases.main())

# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases of the tests of the guest harness (ci/t/harness*.t), and of others in Python.

Each case that boots a guest runs qemu/vm as a user would, with a folder for temporary
files of its own and a mark on the kernel's command line by which a QEMU that is left
over is found.
"""
import concurrent.futures
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "qemu"))
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


def main(guests=True):
    """Run the cases that match the arguments, or all; `guests` says whether any of them boots one."""
    wanted = [(n, f) for n, f in CASES if not sys.argv[1:] or any(a in n for a in sys.argv[1:])]
    print(f"1..{len(wanted)}", flush=True)
    if guests and os.path.exists(KERNEL):
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

# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs of the host, which are ended whatever ends the harness."""
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time

from .host import HarnessError, die_with
from .signals import SIGNALS

WAIT = 10.0                      # seconds that an interrupted tool has to clean up
TICK = 0.1                       # seconds between looks at it


def _in_child(parent):
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _end_group(process):
    """End all of a process group: by SIGINT if that helps in time."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            process.poll()
            # Raises when nobody of the group is left.
            os.killpg(process.pid, 0)
            time.sleep(TICK)
        os.killpg(process.pid, signal.SIGKILL)


def run_tool(command):
    """Run a program of the host to its end. Returns (status, what it printed).

    It has a session of its own.  What interrupts the wait ends all of it: with
    SIGINT, so that it can clean up (fakeroot does so at no other signal), then by
    force.
    """
    parent = os.getpid()
    # Not between its start and where its end is cared for.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    process = None
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, start_new_session=True,
                                   preexec_fn=lambda: _in_child(parent))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        output = process.communicate()[0]
    except BaseException:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if process:
            _end_group(process)
        raise
    return process.returncode, output


def make_once(outputs, inputs, command, what):
    """Run `command`, which makes the files `outputs`, unless it did so before.

    `inputs`  files: if one has changed since, the outputs are made anew
    `what`    for the line that says why it takes a while
    A stamp beside the first output says of which inputs the outputs were made; it is
    gone while they are made, so that half of a file is never taken for a whole.
    Raises HarnessError with the last line of what the command printed.
    """
    # Never empty, as the stamp is in the meantime.
    key = "made of\n" + "".join(f"{s.st_size} {s.st_mtime_ns} {s.st_ino}\n" for s in map(os.stat, inputs))
    stamp = outputs[0] + ".made"
    os.makedirs(os.path.dirname(stamp), exist_ok=True)
    with open(stamp, "a+", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        if stream.read() == key and all(map(os.path.exists, outputs)):
            return
        stream.truncate(0)
        print(f"making {what}", file=sys.stderr, flush=True)
        status, output = run_tool(command)
        if status:
            raise HarnessError(f"{what} cannot be made: " + (output.strip().splitlines() or ["?"])[-1])
        stream.write(key)

# SPDX-License-Identifier: GPL-2.0-or-later
"""The console of a guest: kernel warnings are found in it, a report shows a part of it."""
import collections
import os
import re

TAIL = 25                        # lines of console that a failure report shows
START_MARK = "--- the command starts ---"
DUMP_MARK = "--- the time limit is reached: tasks that block, and what the CPU does ---"
RESTART = "reboot: Restarting system"     # the kernel's last word, always

# What a kernel prints when something is wrong, at the start of a message.
SPLAT = re.compile(
    r"^(?:\[[ 0-9.]+\]\s*(?:\[[ TC0-9]+\]\s*)?)?("
    r"WARNING: |BUG: |BUG at |kernel BUG at |watchdog: BUG: |Oops|"
    r"Kernel panic - not syncing|UBSAN: |general protection fault|"
    r"kmemleak: [0-9]+ new suspected|DEBUG_LOCKS_WARN_ON|"
    r"INFO: task .* blocked for more than|rcu: INFO: .*detected .*stall|"
    r"BUG .*: |INFO: rcu.* detected stalls|unregister_netdevice: )")


class Console:
    """What the kernel prints, in a file that QEMU writes.

    splat  the first line of a kernel warning, or None
    text   all of it, once it is closed
    """

    def __init__(self, fd):
        self.fd, self.splat, self.text = fd, None, ""
        self._buffer = b""
        self._tail = collections.deque(maxlen=400)
        self._dumped = False
        self._quiet = None

    def scan(self):
        """Take what is new. Returns what the first kernel warning says, when it comes."""
        found = None
        while data := os.read(self.fd, 1 << 16):
            self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for raw in lines:
            line = raw.decode("utf-8", "replace").rstrip("\r")
            self._tail.append(line)
            # A diagnosis that the harness asked for is not a finding.
            if not self.splat and not self._dumped and (match := SPLAT.match(line)):
                self.splat = line
                kind = "panicked" if "panic" in match[1] else "printed a kernel warning"
                found = f"the guest {kind}: {re.sub(r'^[][ 0-9.TC]*', '', line)}"
        return found

    def mark_start(self):
        """The command starts here."""
        self._tail.append(START_MARK)

    def mark_dump(self):
        """The harness asks the guest where it hangs."""
        self._dumped = True
        self._tail.append(DUMP_MARK)

    def quiet_since(self, now):
        """Seconds for which nothing has been added, if this is asked again and again."""
        size = os.fstat(self.fd).st_size
        if not self._quiet or size != self._quiet[0]:
            self._quiet = (size, now)
        return now - self._quiet[1]

    def close(self):
        """Keep the text, close the file."""
        if self._buffer:
            self._tail.append(self._buffer.decode("utf-8", "replace"))
        os.lseek(self.fd, 0, os.SEEK_SET)
        with open(self.fd, "rb") as stream:
            self.text = stream.read().decode("utf-8", "replace").replace("\r", "")

    @property
    def empty(self):
        """Has the guest printed nothing, not even started its command?"""
        return not self._tail

    def tail(self, died, lines=TAIL):
        """The part of the console that a report shows.

        From the first warning on if there was one, around the time limit if it
        ran into that, else the last lines; of a command that just failed (not one
        whose guest `died`), only what came after its start.
        """
        tail = list(self._tail)
        for mark, before, after in ((self.splat, 2, lines), (DUMP_MARK, lines // 2, 2 * lines)):
            if mark in tail:
                at = tail.index(mark)
                return tail[max(0, at - before):at + after]
        if START_MARK in tail and not died:
            tail = [line for line in tail[tail.index(START_MARK) + 1:] if not line.endswith(RESTART)]
        return tail[-lines:]

    def started(self):
        """Has the command started?"""
        return START_MARK in self._tail

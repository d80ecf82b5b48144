# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGINT, SIGTERM and SIGHUP become an exception, but only where nothing is half done."""
import contextlib
import signal
import socket

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """A signal ended the run; all guests are gone. `signum` says which."""

    def __init__(self, signum):
        super().__init__(f"ended by {signal.Signals(signum).name}")
        self.signum = signum


def _signals_to_catch():
    """SIGNALS, but for a SIGHUP that is ignored, as nohup(1) wants it."""
    return [s for s in SIGNALS if s != signal.SIGHUP or signal.getsignal(s) != signal.SIG_IGN]


@contextlib.contextmanager
def interruptible():
    """Let SIGINT, SIGTERM and SIGHUP raise Interrupted inside, at once.

    For all that a program does beside running guests; run() and run_groups()
    inside have their own way, which leaves nothing half done.
    """
    def caught(number, _frame):
        raise Interrupted(number)

    old = {s: signal.signal(s, caught) for s in _signals_to_catch()}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


class Signals:
    """Make of a signal an Interrupted, but only where nothing is half done.

    Bytes on `socket` say that one came; within `anywhere()` it is raised at once,
    for work that may take long and leaves nothing behind.
    """

    def __enter__(self):
        self.socket, self._send = socket.socketpair()
        self.socket.setblocking(False)
        self._send.setblocking(False)
        self._open = False
        self._old_fd = signal.set_wakeup_fd(self._send.fileno(), warn_on_full_buffer=False)
        self._old = {s: signal.signal(s, self._caught) for s in _signals_to_catch()}
        return self

    def __exit__(self, *_):
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        self.socket.close()
        self._send.close()

    def _caught(self, number, _frame):
        if self._open:
            raise Interrupted(number)

    def check(self):
        """Raise Interrupted if a signal came."""
        with contextlib.suppress(BlockingIOError):
            for number in self.socket.recv(64):
                if number in SIGNALS:
                    raise Interrupted(number)
        return True

    @contextlib.contextmanager
    def anywhere(self):
        """Let a signal end what is inside."""
        self._open = True
        try:
            self.check()
            yield
        finally:
            self._open = False

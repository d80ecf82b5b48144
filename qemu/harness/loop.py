# SPDX-License-Identifier: GPL-2.0-or-later
"""Groups of guests, and the loop that starts, watches and ends them."""
import contextlib
import os
import selectors
import time

from .host import HarnessError
from .signals import Signals

TICK = 0.1                       # seconds between looks at console and clock


def boots_at_a_time():
    """How many guests may boot at the same time; one that has booted needs little."""
    return max(4, 2 * (os.cpu_count() or 1))


class Group:
    """Guests that run together and meet at barriers.

    barrier  called with (name, guests) while all of them wait there
    """

    def __init__(self, guests, barrier=None):
        if not guests:
            raise HarnessError("0 guests: at least one can run")
        self.guests, self.barrier = list(guests), barrier
        self.initramfs = {}      # descriptors, see Guest.prepare()
        for i, guest in enumerate(self.guests):
            guest.id, guest.count = i, len(self.guests)

    @property
    def running(self):
        """Guests whose QEMU lives."""
        return [g for g in self.guests if g.pid]

    def to_start(self):
        """Guests that can be started now."""
        if any(g.failure for g in self.guests):
            return []
        room = boots_at_a_time() - sum(not g.booted for g in self.running)
        return [g for g in self.guests if not g.started][:max(0, room)]

    def _find_failure(self):
        """When one guest has failed, the others fail too. Returns whether one has."""
        failed = next((g for g in self.guests if g.failure), None)
        for g in self.guests if failed else ():
            if not g.failure and (g.pid or not g.started):
                g.fail(f"ended, because guest {failed.id} failed")
            if not g.started:
                g.close()
        return bool(failed)

    def close(self):
        """End all guests, and close what they had in common."""
        for guest in self.guests:
            guest.close()
        for fd in self.initramfs.values():
            os.close(fd)
        self.initramfs.clear()

    def step(self):
        """Open a barrier that all have reached; end all when one has failed."""
        if self._find_failure():
            return
        waiting = [g for g in self.guests if g.waiting]
        if not waiting:
            return
        name = waiting[0].waiting
        for g in self.guests:
            if g.status is not None and not g.waiting:
                g.fail(f"ended while guest {waiting[0].id} waits at barrier '{name}'")
                return
            if g.waiting and g.waiting != name:
                g.fail(f"waits at barrier '{g.waiting}' while guest {waiting[0].id} waits at '{name}'")
                return
        if len(waiting) == len(self.guests):
            if self.barrier:
                self.barrier(name, self.guests)
            for g in self.guests:
                g.go_on()

    @property
    def ok(self):
        """Has every guest ended well?"""
        return all(g.status == 0 and not g.failure for g in self.guests)


class Loop:
    """Runs groups of guests whose acceleration is known, in one thread."""

    def __init__(self, signals, selector):
        self.signals, self.selector = signals, selector
        self.live = []
        selector.register(signals.socket, selectors.EVENT_READ, signals.check)

    def start(self, guest, group):
        """Start a guest and watch it."""
        with self.signals.anywhere():
            guest.prepare(group.initramfs)
        guest.start()
        for source, call in guest.sources():
            self.selector.register(source, selectors.EVENT_READ, call)

    def stop(self, guest):
        """Stop watching a guest that has ended, and close it."""
        for source, _ in guest.sources():
            # KeyError: its end was reached and it is not watched any more.
            with contextlib.suppress(KeyError):
                self.selector.unregister(source)
        guest.close()

    def turn(self):
        """Do what is to be done now. Returns the groups that have ended."""
        for group in self.live:
            for guest in group.to_start():
                self.start(guest, group)
        for key, _ in self.selector.select(TICK):
            if not key.data():
                self.selector.unregister(key.fileobj)
        now, ended = time.monotonic(), []
        for group in self.live:
            for guest in group.running:
                guest.tick(now)
            group.step()
            for guest in group.guests:
                if guest.ended and not guest.closed:
                    self.stop(guest)
            if all(g.closed for g in group.guests):
                group.close()
                ended.append(group)
        self.live = [group for group in self.live if group not in ended]
        return ended

    def close(self):
        """End all guests."""
        for group in self.live:
            group.close()


def run_loop(groups, jobs=1, done=None):
    """run_groups() (run.py) for guests whose acceleration is known."""
    groups, more = iter(groups), True
    with selectors.DefaultSelector() as selector, Signals() as signals:
        loop = Loop(signals, selector)
        try:
            while True:
                while more and len(loop.live) < jobs:
                    with signals.anywhere():
                        group = next(groups, None)
                    more = group is not None
                    if more:
                        loop.live.append(group)
                if not loop.live:
                    return
                for group in loop.turn():
                    if done:
                        done(group)
        finally:
            loop.close()

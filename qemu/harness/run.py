# SPDX-License-Identifier: GPL-2.0-or-later
"""Run guests: the way in."""
from .accel import find_accel
from .loop import Group, run_loop


def _accelerated(groups):
    """The groups, each with its guests' acceleration found out."""
    for group in groups:
        for guest in group.guests:
            guest.accel = guest.accel or find_accel(guest.kernel)
        yield group


def run_groups(groups, jobs=1, done=None):
    """Run groups of guests, `jobs` groups at a time, in the order given.

    `groups` may be an iterator: the next group is asked for when there is room.
    `done` is called with each group as it ends.  Raises Interrupted after
    SIGINT, SIGTERM or SIGHUP, and whatever a callback raises; all guests are
    gone by then.
    """
    run_loop(_accelerated(groups), jobs, done)


def run(guests, barrier=None):
    """Run guests together. Returns True if all of them ended well."""
    group = Group(guests, barrier)
    run_groups([group])
    return group.ok

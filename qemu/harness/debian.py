# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that boot a Debian root with systemd, rather than the initramfs of the harness.

qemu/stock/disk makes what they boot; qemu/stock/agent speaks with the harness in them.
"""
from .device import Blk
from .guest import Guest
from .host import MIB

# systemd is not to write on the console, and nothing is to run by the clock.
WORDS = ("systemd.show_status=false systemd.log_target=null "
         "systemd.mask=apt-daily.timer systemd.mask=apt-daily-upgrade.timer systemd.mask=man-db.timer "
         "systemd.mask=dpkg-db-backup.timer systemd.mask=e2scrub_reap.service systemd.mask=fstrim.timer")
MEMORY, CPUS = 1536 * MIB, 2
TIMEOUT = 2400


class RootDisk(Blk):
    """A disk that the guest may write to: a copy that is its own."""

    kind, read_only, mount = "rootdisk", False, None


def debian_guest(kernel, initrd, device, root, **options):
    """A Guest that boots Debian.

    device  a Device or its spec, on which the root file system is
    root    kernel parameters that say so ("root=/dev/pmem0 ...")
    The rest is for Guest.
    """
    return Guest(kernel, ["test"], [device], base=initrd, append=f"{root} {WORDS}", verbose=True,
                 **{"memory": MEMORY, "cpus": CPUS, "timeout": TIMEOUT, **options})

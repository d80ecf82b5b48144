# SPDX-License-Identifier: GPL-2.0-or-later
"""Start QEMU guests, give them memory images, collect their results.

    import harness
    guests = [harness.Guest(kernel, ["verify", "/mnt", "/list"],
                            devices=["pmem:golden.erofs"]) for _ in range(3)]
    ok = harness.run(guests, barrier=lambda name, guests: measure([g.pid for g in guests]))
    for g in guests:
        print(g.id, g.failure or g.results)

Wrong use raises HarnessError with one sentence.  A guest that goes wrong raises
nothing: its `failure` says what happened and `console()` what it printed.

Everything runs in one thread.  Nothing is written to disk unless `log` is
given: initramfs and console are memory files, port and monitor are socket pairs
that QEMU inherits.  QEMU runs in a process group of its own, so that Ctrl-C
reaches only this process, which ends it; and it dies with this process
(PR_SET_PDEATHSIG), whatever that dies of.

    host, signals    errors, sizes, places of files; interruption
    tool             programs of the host
    cpio             archives for the initramfs
    device           the kinds of devices, a class each
    arch             the architectures, a class each
    kernel           images of kernels
    machine          what QEMU and the kernel are told
    console          kernel warnings, and what a report shows
    guest            one guest
    debian           one that boots Debian with systemd
    loop             groups of guests, and what starts, watches and ends them
    accel            KVM or emulation
    run              the way in

Each uses only those above it.  Documentation/harness.md is the user's view.
"""
from .accel import find_accel
from .arch import ARCHS, arch_named
from .console import SPLAT
from .debian import RootDisk, debian_guest
from .device import (CARVEOUT_PARAMETER, CLASSES, DAX_KINDS, KINDS, MEMORY_ALIGN, help_text, kinds_of, make_device,
                     markdown_table)
from .guest import Guest
from .host import (GIB, MIB, HarnessError, available_memory, base_dir, build_dir, find_qemu, guest_files, memory_file,
                   parse_size, round_up, write_json, write_text)
from .kernel import arch_of, kernel_config, kernel_of
from .loop import Group
from .run import run, run_groups
from .signals import Interrupted, interruptible
from .tool import make_once, run_tool

# SPDX-License-Identifier: GPL-2.0-or-later
"""Which guests the demo has, and what each of them does."""
import os
import re

import harness
from harness import HarnessError, MIB

# As many guests verify every file; of more, only two do, and the others just run a
# program of the image.
ALL_VERIFY = 8
VERIFIERS = 2
# hostpages (HP_GUESTS_MAX) cannot tell more apart.
MAX_GUESTS = 256
# What a guest keeps of its own while it works: kernel, initramfs, programs, and
# the changes that dpkg makes in the overlay.  One that runs a single program needs less.
MEMORY, SMALL_MEMORY = 256 * MIB, 96 * MIB
# QEMU's own memory, measured under emulation, and some more.
QEMU_MEMORY = 96 * MIB
# Emulated SHA-256 of the image, four times over, on one of two cores.
SECONDS_PER_VERIFIED_MIB = 1.0
SECONDS_AT_LEAST = 180
# Where there is room for memory above 4 GiB, the kernel sets 64 MiB aside for bounce buffers, which
# no virtio device needs here: Documentation/guests.md.
NO_BOUNCE = "swiotlb=noforce"


def check(guests, devices):
    """The kind of memory of each guest, from GUESTS= and DEVICES=. Raises HarnessError for wrong use."""
    kinds = devices.split()
    for kind in kinds:
        if kind not in harness.DAX_KINDS:
            raise HarnessError(f"DEVICES: '{kind}' is no kind of memory; choose from {', '.join(harness.DAX_KINDS)}")
    if not kinds:
        raise HarnessError(f"DEVICES: name at least one kind of memory: {', '.join(harness.DAX_KINDS)}")
    if not (re.fullmatch("[0-9]{1,9}", guests) and 1 <= int(guests) <= MAX_GUESTS):
        raise HarnessError(f"GUESTS={guests}: write a number from 1 to {MAX_GUESTS}")
    count = int(guests)
    if count > ALL_VERIFY:
        needed = VERIFIERS * MEMORY + (count - VERIFIERS) * SMALL_MEMORY + count * QEMU_MEMORY
        there = harness.available_memory()
        if needed > there:
            fit = max(ALL_VERIFY, count - -(-(needed - there) // (SMALL_MEMORY + QEMU_MEMORY)))
            raise HarnessError(f"GUESTS={guests} can need {needed // MIB} MiB of memory, and this host has "
                               f"{there // MIB} MiB to spare; GUESTS={fit} fits")
    return [kinds[i % len(kinds)] for i in range(count)]


def check_config(kernel, kinds):
    """Raise HarnessError if the kernel lacks what a kind of memory needs."""
    config = harness.kernel_config(kernel)
    lacks = {kind: [name for name in harness.KINDS[kind].config if config and name not in config]
             for kind in harness.DAX_KINDS}
    for kind in kinds:
        if lacks[kind]:
            others = [other for other, names in lacks.items() if not names]
            raise HarnessError(f"DEVICES: {kind} needs a kernel with CONFIG_{lacks[kind][0]}, and {kernel} has been "
                               "built without" + f"; DEVICES='{' '.join(others)}' does without it too" * bool(others))


def make(args, on_output):
    """The guests, each with its kind of memory; `verifies` says which verify every file."""
    kinds = check(args.guests, args.devices)
    check_config(args.kernel, kinds)
    verifiers = len(kinds) if len(kinds) <= ALL_VERIFY else VERIFIERS
    timeout = max(SECONDS_AT_LEAST, verifiers * SECONDS_PER_VERIFIED_MIB * os.path.getsize(args.image) / MIB)
    guests = []
    for i, kind in enumerate(kinds):
        verifies = i < verifiers
        files = harness.guest_files("demo.sh", "meminfo.sh") + [(args.list, "/root/golden.list")] * verifies
        guest = harness.Guest(args.kernel, ["sh", "/root/demo.sh", kind + "0"] + ["stay"] * (not verifies),
                              [f"{kind}:{args.image}"], memory=MEMORY if verifies else SMALL_MEMORY,
                              timeout=timeout, on_output=on_output, files=files, append=NO_BOUNCE)
        guest.verifies = verifies
        guests.append(guest)
    return guests

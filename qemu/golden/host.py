# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host says of its memory while the guests hold the image."""
import contextlib
import hashlib
import json
import os
import re
import subprocess

import harness
from harness import HarnessError, MIB


def sha256(path):
    """Checksum of a file, in hexadecimal."""
    with open(path, "rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(MIB):
            digest.update(block)
    return digest.hexdigest()


def image_pages(hostpages, image, guests, joined=True):
    """What hostpages says of the image and its users; `joined` with what guestpages has printed in each guest."""
    command, fds = [hostpages, "--json"], []
    with contextlib.ExitStack() as stack:
        for guest in guests if joined else ():
            fds.append(harness.memory_file("guestpages", "".join(f"{line}\n" for line in guest.results[0]).encode()))
            stack.callback(os.close, fds[-1])
            command.append(f"--guest={guest.pid}:/dev/fd/{fds[-1]}")
        result = subprocess.run(command + [image] + [str(guest.pid) for guest in guests], pass_fds=fds,
                                stdout=subprocess.PIPE, check=False, text=True, start_new_session=True)
    if result.returncode:
        raise HarnessError(f"hostpages ended with status {result.returncode}: the page accounting is not complete")
    return json.loads(result.stdout)


def _mappings(pid):
    """Yield (bytes, inode or 0, Pss in bytes) of each mapping of a process, see proc(5)."""
    size = inode = None
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ ([0-9]+)", line):
                size, inode = int(match[2], 16) - int(match[1], 16), int(match[3])
            elif line.startswith("Pss:"):
                yield size, inode, int(line.split()[1]) << 10


def own_memory(guest, image_pss):
    """Host memory of a guest beyond the image: (bytes of its RAM, bytes of QEMU itself).

    Each page is divided by the number of processes that map it, so that the figures of
    all guests add up to what they take.  `image_pss` is what smaps says of the image.
    QEMU's RAM is its one mapping without a file that has the size of the guest's
    memory; the page tables of the process count for QEMU itself.
    """
    ram, everything = [], 0
    for size, inode, pss in _mappings(guest.pid):
        everything += pss
        if not inode and size == guest.memory:
            ram.append(pss)
    if len(ram) != 1:
        raise HarnessError(f"QEMU of guest {guest.id} has {len(ram)} mappings of {guest.memory} bytes: "
                           "its RAM cannot be told from its own memory")
    with open(f"/proc/{guest.pid}/status", encoding="utf-8", errors="replace") as stream:
        tables = next(int(line.split()[1]) << 10 for line in stream if line.startswith("VmPTE:"))
    return ram[0], everything - ram[0] - image_pss + tables


def marks_in_image(path, writes):
    """How many of the marks that guests wrote stand in the image now."""
    found = 0
    with open(path, "rb") as stream:
        for write in writes:
            if write["offset"] >= 0:
                stream.seek(write["offset"])
                mark = write["mark"].encode()
                found += stream.read(len(mark)) == mark
    return found

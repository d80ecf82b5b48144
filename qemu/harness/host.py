# SPDX-License-Identifier: GPL-2.0-or-later
"""What all parts of the harness need: errors, sizes, places of files."""
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal

MIB = 1 << 20
GIB = 1 << 30
PR_SET_PDEATHSIG = 1             # include/uapi/linux/prctl.h

_libc = ctypes.CDLL(None, use_errno=True)
_QEMU_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class HarnessError(Exception):
    """Wrong use: one sentence that says what was wrong and what to do."""


def parse_size(text, what="size"):
    """Bytes from "4096", "64K", "256M" or "2G"; raises HarnessError."""
    match = re.fullmatch(r"([0-9]+)([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise HarnessError(f"{what} '{text}' is no size; write 4096, 64K, 256M or 2G")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[match[2].upper()]


def round_up(value, to):
    """The next multiple of `to`."""
    return -(-value // to) * to


def die_with(parent):
    """In a new child: be killed when the parent dies, also if it just did."""
    if _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) or os.getppid() != parent:
        os._exit(127)


def memory_file(name, data=b""):
    """A descriptor of an anonymous file that QEMU can open as /dev/fd/N."""
    fd = os.memfd_create(name)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]
    return fd


def write_text(path, text):
    """Write a file: it is there as a whole, or as it was before."""
    try:
        with open(path + ".tmp", "w", encoding="utf-8") as stream:
            stream.write(text)
        os.rename(path + ".tmp", path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(path + ".tmp")
        raise


def write_json(path, value):
    """Write a report, as write_text() does."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def available_memory():
    """Bytes that programs of this host can still have (MemAvailable)."""
    with open("/proc/meminfo", encoding="ascii") as stream:
        return next(int(line.split()[1]) << 10 for line in stream if line.startswith("MemAvailable:"))


# -- places

def build_dir():
    """The project's build directory ($BUILD, or build/ beside qemu/)."""
    return os.environ.get("BUILD") or os.path.join(os.path.dirname(_QEMU_DIR), "build")


def base_dir(kind="kernel"):
    """What is built of a base: of the kernel ($BASE), or of the tools ($UTILS_BASE, kind "erofs-utils")."""
    link = os.path.join(os.path.dirname(_QEMU_DIR), kind, "default")
    default = os.path.basename(os.path.realpath(link)).removesuffix(".base")
    return os.path.join(build_dir(), os.environ.get("BASE" if kind == "kernel" else "UTILS_BASE") or default)


def guest_files(*names):
    """`files` of a Guest for scripts of qemu/guest: they go to /root."""
    return [(os.path.join(_QEMU_DIR, "guest", name), "/root/" + name) for name in names]


def find_qemu(emulator):
    """Path of an emulator; $QEMU overrides it. Raises HarnessError."""
    name = os.environ.get("QEMU", emulator)
    path = shutil.which(name)
    if not path:
        raise HarnessError(f"{name} is not installed; 'make packages' installs it")
    return path

# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels of guests: where they are, of which architecture, how they are configured."""
import os
import re

from .arch import ARCHS, DEFAULT, arch_named
from .host import HarnessError, base_dir

HEAD = 0x206                     # bytes by which an image is known


def kernel_of(flavour, arch=None, pages=None):
    """Where 'make kernel FLAVOUR=flavour' puts the kernel, for $ARCH and $PAGES unless named. Raises HarnessError."""
    arch = arch_named(arch)
    pages = pages or os.environ.get("PAGES") or arch.pages[0]
    if pages not in arch.pages:
        raise HarnessError(f"PAGES={pages}: kernels of {arch.name} have pages of {', '.join(arch.pages)}")
    build = "kernel-" + flavour + ("" if arch.name == DEFAULT else f"-{arch.name}-{pages}")
    return os.path.join(base_dir(), build, arch.image)


def arch_of(kernel):
    """The architecture of a kernel's image. Raises HarnessError unless it is an image."""
    try:
        with open(kernel, "rb") as stream:
            head = stream.read(HEAD)
    except OSError as error:
        hint = "; 'make kernel' builds one" if isinstance(error, FileNotFoundError) else ""
        raise HarnessError(f"kernel {kernel}: {error.strerror}{hint}") from None
    for arch in ARCHS.values():
        if len(head) == HEAD and arch.is_image(head):
            return arch
    *names, last = (arch.image_is for arch in ARCHS.values())
    raise HarnessError(f"{kernel} is no kernel of {', '.join(names)} or {last}")


def _build_of(kernel):
    """The folder in which an image was built."""
    ups = arch_of(kernel).image.count("/")
    return os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(kernel)), "../" * ups))


def kernel_modules(kernel):
    """Modules that a guest loads first, in that order: those in modules/ of a kernel's build."""
    folder = os.path.join(_build_of(kernel), "modules")
    if not os.path.isdir(folder):
        return []
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".ko"))


def kernel_config(kernel):
    """Options of a kernel as a dict, from the .config of its build; None if there is none."""
    path = os.path.join(_build_of(kernel), ".config")
    try:
        with open(path, encoding="utf-8") as stream:
            return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", stream.read(), re.MULTILINE))
    except OSError:
        return None

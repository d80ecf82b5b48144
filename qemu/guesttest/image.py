# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of guest tests, made by recipes and kept."""
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile

import harness
from harness import HarnessError

from .spec import RECIPES

SEAL = os.path.join(RECIPES, "..", "seal")   # which recipes call


def mkfs():
    """The mkfs.erofs to use: $MKFS, the project's own, or the system's."""
    own = os.path.join(harness.base_dir("erofs-utils"), "tools", "mkfs", "mkfs.erofs")
    path = os.environ.get("MKFS") or (own if os.path.exists(own) else "mkfs.erofs")
    found = shutil.which(path)
    if not found:
        raise HarnessError(f"{path} is not there; 'make utils' builds it")
    return found


def make_image(recipe, *options, arch=None):
    """Make an image, or take it from the cache in build/guest/images.

    The recipe is called as "RECIPE OUT DIR OPTION...": it fills the empty folder
    DIR and writes the image OUT with $MKFS and the options, and if it wants a program for guests
    of `arch` (default: of $ARCH), it takes $BUSYBOX; further files are
    named OUT.SUFFIX.  All are padded to 2 MiB.  Returns OUT.  Raises HarnessError
    with what the recipe printed last.
    """
    script = os.path.join(RECIPES, recipe)
    tool, busybox = mkfs(), (arch or harness.arch_named()).busybox()
    digest = hashlib.sha256(repr(options).encode())
    for path in (script, SEAL, tool):
        with open(path, "rb") as stream:
            data = stream.read()
        digest.update(hashlib.sha256(data).digest())
        # An image with programs is one of its architecture.
        if path == script and b"$BUSYBOX" in data:
            digest.update(busybox.encode())
    folder = os.path.join(harness.build_dir(), "guest", "images")
    os.makedirs(folder, exist_ok=True)
    final = os.path.join(folder, f"{recipe}-{digest.hexdigest()[:16]}")
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(final + "/image"):
            return final + "/image"
        work = tempfile.mkdtemp(prefix="tmp.", dir=folder)
        try:
            os.mkdir(work + "/tree")
            os.mkdir(work + "/out")
            done = subprocess.run([script, work + "/out/image", work + "/tree", *options],
                                  env=dict(os.environ, MKFS=tool, BUSYBOX=busybox), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if done.returncode or not os.path.exists(work + "/out/image"):
                text = done.stdout.decode("utf-8", "replace").strip().splitlines()[-5:]
                raise HarnessError(f"qemu/images/recipes/{recipe} ended with status {done.returncode} and made "
                                   + ("an image" if os.path.exists(work + "/out/image") else "no image")
                                   + "".join("\n  | " + line for line in text))
            for file in os.scandir(work + "/out"):
                os.truncate(file.path, harness.round_up(max(file.stat().st_size, 1), harness.MEMORY_ALIGN))
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(final)
            os.rename(work + "/out", final)
        finally:
            subprocess.run(["chmod", "-R", "u+rwX", work], check=False)
            shutil.rmtree(work)
    return final + "/image"


def padded(image, align):
    """An image, or a copy of it beside it that is padded to a multiple of so many bytes. Returns its path."""
    size = harness.round_up(os.path.getsize(image), align)
    if size == os.path.getsize(image):
        return image
    path = f"{image}.{align // harness.MIB}M"
    if not os.path.exists(path):
        with tempfile.NamedTemporaryFile(dir=os.path.dirname(image), delete=False) as work:
            shutil.copyfile(image, work.name)
            os.truncate(work.name, size)
            os.rename(work.name, path)
    return path

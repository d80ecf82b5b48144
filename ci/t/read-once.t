#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Metadata in memory is read once: a plugin of QEMU counts each load of the kernel.

Memory that an image is in can change at any time, so what the kernel has checked
must be what it uses.  Prints TAP.
"""
import os
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, "qemu"))
import guesttest    # noqa: E402
import harness      # noqa: E402

KERNEL = os.environ.get("KERNEL") or harness.kernel_of("fast")
PLUGIN = os.path.join(harness.build_dir(), "host", "libloads.so")
# In struct erofs_super_block and beside it, see fs/erofs/erofs_fs.h in Linux.
SUPER, SUPER_SIZE, SUPER_META_BLKADDR = 1024, 128, 40
BLOCK, SLOT = 4096, 32
SCRIPT = """
mark 1
sh /harness/mount/ramdax0 /mnt || exit 1
mark 2
stat -c '{"nid": %i}' /mnt/one > /tmp/nid || exit 1
mark 0
guestctl result - < /tmp/nid
"""
FAILED = 0


class Watched(harness.Guest):
    """A guest whose loads from its carve-out are written to the file `loads`."""

    def __init__(self, image):
        # pylint: disable=consider-using-with
        self.loads = tempfile.NamedTemporaryFile("r", prefix="loads.", encoding="ascii")
        super().__init__(KERNEL, ["sh", "-c", SCRIPT], ["ramdax:" + image], accel="tcg", timeout=120)
        device = self.devices[0]
        self.qemu_words = ["-plugin", f"{PLUGIN},out={self.loads.name},start={device.address:#x},size={device.size}"]

    def counts(self, number, start, size):
        """How often each of the bytes from `start` on was loaded in pass `number`."""
        found = [0] * size
        self.loads.seek(0)
        for line in self.loads:
            which, offset, length, loads = map(int, line.split())
            if which == number:
                for i in range(max(offset, start), min(offset + length, start + size)):
                    found[i - start] = loads
        return found


def check(number, name, good, *why):
    """One result."""
    global FAILED
    FAILED += not good
    for line in why if not good else ():
        print(f"# {line}")
    print(f"{'ok' if good else 'not ok'} {number} - {name}", flush=True)


def main():
    """Boot a guest with each kind of inode."""
    subprocess.run(["make", "-s", PLUGIN], cwd=TOP, check=True)
    number = 0
    print("1..6")
    for kind, size in ("compact", 32), ("extended", 64):
        image = guesttest.make_image("tree", f"-Eforce-inode-{kind}")
        with open(image, "rb") as stream:
            stream.seek(SUPER + SUPER_META_BLKADDR)
            meta = int.from_bytes(stream.read(4), "little") * BLOCK
        guest = Watched(image)
        ok = harness.run([guest]) and len(guest.results) == 1
        check(number + 1, f"an image with {kind} inodes is mounted from memory", ok, guest.report())
        found = guest.counts(1, SUPER, SUPER_SIZE)
        check(number + 2, "mount reads each byte of the superblock once", found == [1] * SUPER_SIZE, found)
        found = guest.counts(2, meta + (guest.results[0]["nid"] if ok else 0) * SLOT, size)
        check(number + 3, f"stat reads no byte of an inode ({kind}) twice", found[0] == max(found) == 1, found)
        number += 3
    return bool(FAILED)


if __name__ == "__main__":
    sys.exit(main())

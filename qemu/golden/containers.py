# SPDX-License-Identifier: GPL-2.0-or-later
"""Two versions of an image as two containers of one guest: what sharing page cache saves.

The second part of "make demo".  The guest runs twice, at the same time: once as
kernels without page-cache sharing do it, once with "-o inode_share,domain_id=".
qemu/images/make-versions makes the images, qemu/guest/containers.sh is what each does.
"""
import os

import harness
from harness import MIB

OPTION = "EROFS_FS_PAGE_CACHE_SHARE"
HEADLINE = "Two versions of the image as two containers on one kernel, all files read"
WORDS = {"private": "without", "shared": "with"}    # each mode in the table
MODES = {"private": "ro", "shared": "ro,inode_share,domain_id=demo"}    # mount options
# Beside the page cache: kernel, initramfs with the lists, inodes, dentries.
GUEST_MEMORY = 256 * MIB
# Emulated SHA-256 of both images on one of two cores, and reading them.
SECONDS_PER_MIB = 1.0
SECONDS_AT_LEAST = 180


def measure(kernel, images, lists, say):
    """Run both modes; `say` prints a line of progress. Returns the object `containers` of the report (Documentation/demo.md).

    Where the kernel or the host's memory does not allow it, the object has the one
    member "skipped": why; where a guest fails, the one member "failed": its report.
    """
    config = harness.kernel_config(kernel)
    if config and OPTION not in config:
        return {"skipped": f"the kernel has no CONFIG_{OPTION}"}
    size = sum(map(os.path.getsize, images))
    memory = harness.round_up(size, MIB) + GUEST_MEMORY
    together = harness.available_memory() // memory
    if not together:
        return {"skipped": f"the guest needs {memory // MIB} MiB of memory, and this host has less to spare"}
    guests = {mode: harness.Guest(
        kernel, ["sh", "/root/containers.sh", options], [f"blk:{image}" for image in images], memory=memory,
        timeout=max(SECONDS_AT_LEAST, size / MIB * SECONDS_PER_MIB),
        on_output=lambda _, stream, line, mode=mode: stream == "stderr" and say(f"page cache {mode}: {line}"),
        files=harness.guest_files("containers.sh", "meminfo.sh")
        + [(name, f"/root/{i}.list") for i, name in enumerate(lists)]) for mode, options in MODES.items()}
    harness.run_groups([harness.Group([guest]) for guest in guests.values()], jobs=min(together, len(guests)))
    for mode, guest in guests.items():
        if guest.failure:
            return {"failed": f"page cache {mode}: {guest.report()}"}
    private, shared = (guests[mode].results[0] for mode in MODES)
    report = {"contents_ok": private["contents_ok"] and shared["contents_ok"],
              "image_bytes": [os.path.getsize(image) for image in images]}
    for mode, result in (("private", private), ("shared", shared)):
        report["cached_kib_" + mode] = result["cached_kib"] + result["buffers_kib"]
        report["slab_kib_" + mode] = result["slab_kib"]
    report["saved_kib"] = report["cached_kib_private"] - report["cached_kib_shared"]
    report["slab_cost_kib"] = report["slab_kib_shared"] - report["slab_kib_private"]
    report["kernel_saved_kib"] = shared["kernel_saved_bytes"] and shared["kernel_saved_bytes"] >> 10
    return report


def judge(report):
    """What speaks against sharing between the containers; nothing if `report` is None."""
    if not report or "skipped" in report:
        return []
    if "failed" in report:
        return ["the guest with two containers failed"]
    against = []
    if not report["contents_ok"]:
        against.append("a container does not see the files that its image was made of")
    if report["saved_kib"] <= 0:
        against.append("two containers need as much page cache with inode_share as without")
    return against


def in_short(report):
    """What was saved, or why nothing was measured, as a sentence."""
    if "skipped" in report:
        return f"Two containers on one kernel: not tried, {report['skipped']}."
    if "failed" in report:
        return f"Two containers on one kernel failed, {report['failed']}"
    return (f"Page cache saved: {report['saved_kib'] / 1024:.1f} MiB ({report['saved_kib'] / report['cached_kib_private']:.0%}), "
            f"at the price of {report['slab_cost_kib'] / 1024:.1f} MiB of slab. "
            + ("Each container sees its own files." if report["contents_ok"] else "Contents are WRONG."))


def print_table(report):
    """What a person sees."""
    print()
    if "contents_ok" in report:
        print(HEADLINE)
        print()
        print("inode_share      page cache          slab")
        for mode, what in WORDS.items():
            print(f"{what:<12} {report['cached_kib_' + mode]:>10} KiB {report['slab_kib_' + mode]:>9} KiB")
        print()
    print(in_short(report))

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory of mkfs.erofs: fingerprints add at most 20 % to its peak, whatever the size of a file.

$MEMORY_MIB is the size of the sparse file (default 512); "make check-utils-huge" takes 6 GiB.
"""
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from taplib import MKFS, Tap, Wrong    # noqa: E402

MIB = 1 << 20
SIZE = int(os.environ.get("MEMORY_MIB", 512)) * MIB
tap = Tap()


def sparse(f):
    f.truncate(SIZE)
    f.seek(SIZE // 2)
    f.write(b"data")


def dense(f):
    """An eighth of it: what compresses to about a half."""
    rng = random.Random(1)
    block = b"".join(rng.randbytes(32) + bytes(32) for _ in range(MIB // 64))
    for n in range(SIZE // 8 // MIB):
        f.write(n.to_bytes(8, "little") + block[8:])


def peak(*args):
    """The peak of resident memory in KiB."""
    p = subprocess.Popen((MKFS, "--quiet", "-T0", *args, tap.path("img"), tap.path("tree")))
    _, status, usage = os.wait4(p.pid, 0)
    if status:
        raise Wrong(f"{' '.join(args)}: status {status}")
    return usage.ru_maxrss


def bounded(fill, *options):
    os.mkdir(tap.path("tree"))
    with open(tap.path("tree/file"), "wb") as f:
        fill(f)
    # How far the workers get ahead is chance: a part of the buffers is not used in every run.
    for _ in range(8):
        without, with_ = peak(*options), peak("--fingerprint", *options)
        print(f"# {with_} KiB with fingerprints, {without} KiB without")
        if with_ <= 1.2 * without:
            return
    raise Wrong("that is more than 20 % above, eight times")


def incompressible(f):
    for _ in range(384):
        f.write(os.urandom(MIB))


def limited(limit, *options):
    """What has been compressed waits in memory to be written: not for all of a file."""
    os.mkdir(tap.path("tree"))
    with open(tap.path("tree/file"), "wb") as f:
        incompressible(f)
    for with_ in (), ("--fingerprint",):
        took = peak(*options, *with_) >> 10
        print(f"# {took} MiB {' '.join(with_)}")
        if took > limit:
            raise Wrong(f"{took} MiB {' '.join(with_)}, wanted at most {limit}")


# Two segments of 16 MiB for each worker, and what the workers have of their own.
for workers in 1, 2:
    limit = 40 + workers * 64
    tap.check(f"384 MiB that nothing compresses, {workers} workers: at most {limit} MiB", limited, limit, "-zlz4", f"--workers={workers}")
for fill in sparse, dense:
    for options in ("-zlz4", "--workers=2"), ("-zlz4", "--workers=4"), ("-zlz4", "-Efragments"), ("--chunksize=1048576",):
        tap.check(f"{fill.__name__} file of {(SIZE if fill is sparse else SIZE // 8) // MIB} MiB {' '.join(options)}", bounded,
                  fill, *options)
tap.check("dense file, plain", bounded, dense)
tap.done()

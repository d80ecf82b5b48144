# SPDX-License-Identifier: GPL-2.0-or-later
"""Which acceleration a guest can have here: KVM, or emulation."""
import contextlib
import fcntl
import json
import os
import subprocess
import sys

from .guest import Guest
from .host import HarnessError, build_dir, find_qemu
from .kernel import arch_of
from .loop import Group, run_loop

PROBE_TIMEOUT = 20.0             # seconds in which an accelerator must boot a guest

_found = {}


def find_accel(kernel):
    """Return "kvm" or "tcg": what really boots a guest here. `kernel` is tried.

    $ACCEL overrides.  /dev/kvm may exist and open without any guest ever
    starting under it, so this boots one, with a time limit, and remembers the
    answer in build/accel until QEMU, the kernel of the host or the boot changes.
    Kernels of another architecture than the host's are always emulated.
    """
    arch = arch_of(kernel)
    here = os.uname().machine
    wanted = os.environ.get("ACCEL")
    if wanted:
        if wanted not in ("kvm", "tcg"):
            raise HarnessError(f"ACCEL={wanted}: it is kvm or tcg")
        if wanted == "kvm" and arch.host != here:
            raise HarnessError(f"ACCEL=kvm: guests of {arch.name} are emulated on {here}; do without ACCEL=")
        return wanted
    if arch.host != here:
        return "tcg"
    if not _found:
        _found["accel"] = _remembered(kernel)
    return _found["accel"]


def _remembered(kernel):
    """find_accel() by the file build/accel, under a lock."""
    path = os.path.join(build_dir(), "accel")
    version = subprocess.run([find_qemu(arch_of(kernel).emulator), "--version"], stdout=subprocess.PIPE, check=True, text=True)
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        key = [version.stdout.splitlines()[0], os.uname().release, stream.read().strip(), os.getuid()]
    try:
        os.makedirs(build_dir(), exist_ok=True)
        stream = open(path, "a+", encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"{path}: {error.strerror}; set BUILD= to a folder of your own, "
                           "or ACCEL=kvm|tcg") from None
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        with contextlib.suppress(ValueError, TypeError, KeyError):
            known = json.load(stream)
            if known["key"] == key and known["accel"] in ("kvm", "tcg"):
                return known["accel"]
        accel, why = _probe(kernel)
        print(f"guests run under {'KVM' if accel == 'kvm' else 'emulation (TCG)'}: {why}; "
              f"ACCEL=kvm|tcg overrides", file=sys.stderr)
        stream.truncate(0)
        json.dump({"accel": accel, "why": why, "key": key}, stream, indent=1)
        stream.write("\n")
    return accel


def _probe(kernel):
    """Boot a guest under KVM. Returns (accelerator, why)."""
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return "tcg", f"/dev/kvm: {error.strerror}"
    print(f"/dev/kvm opens; trying whether a guest boots under it (up to {PROBE_TIMEOUT:.0f} s)",
          file=sys.stderr)
    guest = Guest(kernel, ["true"], accel="kvm", timeout=PROBE_TIMEOUT)
    group = Group([guest])
    run_loop([group])
    if group.ok:
        return "kvm", f"a guest booted under it in {guest.seconds:.1f} s"
    return "tcg", f"no guest boots under KVM ({guest.failure})"

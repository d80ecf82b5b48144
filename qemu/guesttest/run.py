# SPDX-License-Identifier: GPL-2.0-or-later
"""Run guest tests against one kernel, and judge them."""
import contextlib
import hashlib
import os
import re
import sys

import harness
from harness import HarnessError

from .image import make_image, padded
from .ktap import judge
from .spec import TOP

# What the checkers of a debug kernel cost, measured as boot time and as the
# memory that is gone before the first program starts.
DEBUG_TIME, DEBUG_MEMORY = 4, 2


def failure_detail(guest, said, failed):
    """Lines for a person: what the failed results are, and what the guest printed."""
    detail, remarks = [], []
    # Each failed result with the remarks that stand before it.
    for line in said:
        if line.startswith("#"):
            remarks.append(line)
            continue
        if line in failed:
            detail += remarks + [line]
        remarks = []
    if not failed:
        detail += [f"{stream}: {line}" for stream, line in guest.output[-10:]]
    else:
        detail += [line for stream, line in guest.output if stream == "stderr"][-10:]
    return detail + ["| " + line for line in guest.console_tail()]


class Result:
    """Outcome of one test: `problem` None is ok; `skip` says why it did not run;
    `known`: it passed before, with the same of everything."""

    def __init__(self, spec, problem=None, skip=None, seconds=0.0, detail=(), known=False):
        self.spec, self.problem, self.skip, self.known = spec, problem, skip, known
        self.seconds, self.detail = seconds, list(detail)


def sources(package):
    """The files of a Python package of qemu/."""
    folder = os.path.join(TOP, "qemu", package)
    return sorted(entry.path for entry in os.scandir(folder) if entry.name.endswith(".py"))


def fingerprint(group):
    """Hex digest of all that the outcome of a test depends on, but luck."""
    qemu = os.stat(harness.find_qemu(group.guests[0].arch.emulator))
    digest = hashlib.sha256(repr((qemu.st_size, qemu.st_mtime, os.cpu_count())).encode())
    code = sources("harness") + sources("guesttest")
    for guest in group.guests:
        digest.update(repr((guest.memory, guest.cpus, guest.timeout, guest.append, guest.ranges, guest.argv,
                            guest.devicetree, [(d.name, d.size, d.options) for d in guest.devices])).encode())
        digest.update(hashlib.sha256(guest.initramfs()).digest())
        for path in code + [guest.kernel] + [d.path for d in guest.devices if d.path]:
            with open(path, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:32]


def built(what, *names):
    """Path of a file that `make what` makes. Raises HarnessError."""
    path = os.path.join(*names)
    if not os.path.exists(path):
        raise HarnessError(f"{path} is not built; 'make {what}' builds it")
    return path


class Run:
    """Run tests against one kernel.

    live    print each line of a test as it comes
    known   folder that remembers what passed, see fingerprint(); None runs all
    stress  seconds for stress tests instead of those that they declare
    """

    def __init__(self, kernel, flavour, log_dir, live=False, known=None, stress=None):
        self.arch = harness.arch_of(kernel)
        self.kernel, self.flavour, self.log_dir, self.live = kernel, flavour, log_dir, live
        self.known, self.stress = known, stress
        self.config = harness.kernel_config(kernel)

    def group(self, spec):
        """The guests of a test, or the Result that stands already."""
        if self.flavour not in spec.flavours:
            return Result(spec, skip=f"it is for the flavour {spec.flavours[0]}")
        why = spec.missing_series(os.path.basename(harness.base_dir()))
        why = why or spec.missing_machine(self.arch)
        why = why or (spec.missing_config(self.config, self.arch) if self.config is not None else None)
        if why:
            return Result(spec, skip=why)
        try:
            group = harness.Group(self._guests(spec))
            group.spec, group.mark = spec, None
            if self.known:
                group.mark = os.path.join(self.known, "guest-" + fingerprint(group))
                if os.path.exists(group.mark):
                    return Result(spec, known=True)
        except HarnessError as error:
            return Result(spec, problem=str(error))
        return group

    def _guests(self, spec):
        """The guests of a test. Raises HarnessError."""
        slow = self.flavour == "debug"
        argv, files = self._program(spec)
        devices = self._devices(spec)
        stress = (self.stress or spec.stress) if spec.stress else 0
        return [harness.Guest(
            self.kernel, argv, devices, memory=spec.memory * (DEBUG_MEMORY if slow else 1),
            cpus=spec.cpus, icount=spec.icount, files=files, append=spec.append, ranges=spec.ranges, devicetree=spec.devicetree,
            env={"STRESS_SECONDS": str(stress)} if stress else {},
            timeout=stress + spec.timeout * (DEBUG_TIME if slow else 1),
            on_output=self._show if self.live else None) for _ in range(spec.guests)]

    def _program(self, spec):
        """The command of a test, and the files that it needs in the guest."""
        run = "/harness/run/" + spec.name
        if spec.path.endswith(".c"):
            argv, files = [run], [(built("guest", self.arch.folder("guest"), "tests", spec.group, spec.name), run)]
        else:
            argv, files = ["sh", run], [(spec.path, run)]
            # The words of its group.
            words = os.path.join(os.path.dirname(spec.path), "rc")
            if os.path.exists(words):
                files.append((words, "/harness/rc"))
        files += [(os.path.join(TOP, f), "/root/" + os.path.basename(f)) for f in spec.files]
        files += [(built("guest", self.arch.folder("guest"), "tools", name), "/root/" + os.path.basename(name))
                  for name in spec.tools]
        return argv, files + [(built("kselftests", harness.base_dir(), os.path.basename(self.arch.folder("kselftest")), name),
                               "/root/" + os.path.basename(name)) for name in spec.kselftests]

    def _devices(self, spec):
        """The devices of a test, with its images."""
        images = {name: make_image(*recipe, arch=self.arch) for name, recipe in spec.images.items()}
        devices = []
        for device in spec.devices:
            kind, _, rest = device.partition(":")
            if kind != "disk":
                file, options = re.match("([^@,]*)(.*)", rest).groups()
                name, dot, suffix = file.partition(".")
                # Slots for memory are larger in some machines than what an image is padded to.
                align = harness.kinds_of(self.arch.name)[kind].align
                rest = padded(images[name] + dot + suffix, align) + options
            devices.append(f"{kind}:{rest}")
        return devices

    @staticmethod
    def _show(guest, stream, line):
        print(f"[{guest.id}] {line}" if guest.count > 1 else line,
              file=sys.stderr if stream == "stderr" else sys.stdout, flush=True)

    def judge(self, group):
        """Result of a group that has ended."""
        spec, detail, problem, skip = group.spec, [], None, None
        for guest in group.guests:
            said = [line for stream, line in guest.output if stream == "stdout"]
            trouble, why, failed = judge(said)
            skip = skip or why
            # Status 1 only repeats what the failed results say; anything else that
            # went wrong with the guest comes first.
            if guest.failure and not (guest.status == 1 and failed):
                trouble = guest.failure
            if trouble:
                problem = problem or trouble
                if guest.count > 1:
                    detail.append(f"guest {guest.id}:")
                detail += failure_detail(guest, said, failed)
        if problem:
            detail.append("all of its output: " + os.path.relpath(self._log(group)))
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._log_path(spec))
            if group.mark and not skip:
                os.makedirs(self.known, exist_ok=True)
                with open(group.mark, "w", encoding="ascii"):
                    pass
        return Result(spec, problem, None if problem else skip, max(g.seconds for g in group.guests), detail)

    def _log_path(self, spec):
        return os.path.join(self.log_dir, spec.name + ".log")

    def _log(self, group):
        os.makedirs(self.log_dir, exist_ok=True)
        path = self._log_path(group.spec)
        with open(path, "w", encoding="utf-8") as stream:
            for guest in group.guests:
                stream.write(f"=== guest {guest.id}: {guest.failure or 'ended'}\n")
                stream.writelines(f"{name}: {line}\n" for name, line in guest.output)
                stream.write(f"=== console of guest {guest.id}\n{guest.console()}\n")
        return path

# SPDX-License-Identifier: GPL-2.0-or-later
"""What QEMU and the kernel of a guest are told: arguments, parameters, files."""
import json
import os
import re
import subprocess

from . import cpio
from .device import CARVEOUT_PARAMETER
from .host import GIB, MIB, HarnessError, kernel_modules, round_up

PORT_NAME = "erofs-ramdax"       # as in qemu/guest/init.c
# Code that emulation keeps, in MiB, and the same for guests with little memory.
CODE_CACHE, CODE_CACHE_SMALL = 128, 32
SMALL_GUEST = 128 * MIB
# An emulated guest gets little done in much time on a loaded host.  The TSC is calibrated
# wrongly then, so that the guest's seconds are not seconds; the kernel's test whether the
# timer interrupts fails, and it panics; and RCU warns after 20 s in which the host gave
# the guest no CPU.  A guest that really hangs runs into the time limit of the harness.
LOADED_HOST = ["clocksource=hpet", "no_timer_check", "rcupdate.rcu_cpu_stall_timeout=300"]
# Linux 6.12 forgets for a moment that it has five levels of page tables, when
# identify_cpu() clears all features.  An interrupt just then is a wild access to
# KASAN: once in some hundred boots under emulation.
KASAN_WORD = "no5lvl"


def insert_fields(text, devices, what):
    """`text` with the addresses and sizes of devices in place of {NAME.address} and {NAME.size}.

    Raises HarnessError, which begins with `what`, for a device or field that is not there.
    """
    fields = {f"{{{d.name}.{field}}}": getattr(d, field) for d in devices
              for field in ("address", "size") if getattr(d, field, None) is not None}

    def value(match):
        if match[0] not in fields:
            raise HarnessError(f"{what}: no device has {match[0]}")
        return hex(fields[match[0]])

    return re.sub(r"\{\w+\.\w+\}", value, text)


def compile_devicetree(path, devices):
    """The device tree (DTB) of a source, as bytes; see insert_fields(). Raises HarnessError."""
    what = f"device tree {path}"
    try:
        with open(path, encoding="utf-8") as stream:
            source = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{what}: {getattr(error, 'strerror', error)}") from None
    source = insert_fields(source, devices, what)
    try:
        done = subprocess.run(["dtc", "-I", "dts", "-O", "dtb", "-"], input=source.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    except OSError:
        raise HarnessError("dtc is not installed; 'make packages' installs it") from None
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["?"]
        raise HarnessError(f"{what}: {why[0]}")
    return done.stdout


def command_line(guest):
    """The kernel parameters of a guest."""
    words = ["console=ttyS0", "earlyprintk=ttyS0", f"loglevel={8 if guest.verbose else 5}",
             "panic=-1", "oops=panic", "panic_on_warn=1", "unknown_nmi_panic=1",
             "reboot=t", "rdinit=/init", f"GUEST_ID={guest.id}", f"GUEST_COUNT={guest.count}"]
    for device in guest.devices:
        words += device.kernel_words()
    if ranges := [r for device in guest.devices for r in device.ranges()] + guest.ranges:
        words.append(f"{CARVEOUT_PARAMETER}=" + ",".join(ranges))
    if guest.accel == "tcg" and not guest.icount:
        words += LOADED_HOST
    if guest.config.get("KASAN", "n") != "n":
        words.append(KASAN_WORD)
    if guest.append:
        words.append(guest.append)
    return " ".join(words)


def _machine(guest):
    """QEMU's arguments for board, memory, processors."""
    # Not "pc": its _PRT is a loop of 128 turns, which a kernel with KASAN takes
    # ten seconds for under emulation, once for each device.
    machine = ["q35", "vmport=off", "smbus=off", "sata=off"]
    for device in guest.devices:
        machine += [word for word in device.machine if word not in machine]
    memory = f"{guest.memory // MIB}M"
    if slots := sum(d.is_memory for d in guest.devices):
        # The machine sets a GiB aside for each slot's alignment by itself.
        base, top = guest.window
        memory += f",slots={slots},maxmem={(round_up(guest.memory, GIB) + top - base) // MIB}M"
    args = ["-machine", ",".join(machine), "-cpu", guest.cpu or ("host" if guest.accel == "kvm" else "max"),
            "-smp", str(guest.cpus), "-m", memory]
    code = f"tb-size={CODE_CACHE_SMALL if guest.memory < SMALL_GUEST else CODE_CACHE}"
    if guest.accel == "kvm":
        return args + ["-accel", "kvm"]
    if guest.icount:
        return args + ["-accel", f"tcg,thread=single,{code}", "-icount", "shift=0,sleep=off"]
    return args + ["-accel", f"tcg,thread={'multi' if guest.cpus > 1 else 'single'},{code}"]


def qemu_arguments(guest, initrd, console, port, monitor, devicetree=None):
    """QEMU's arguments.

    All but the guest are descriptors that QEMU inherits: initramfs, console, sockets
    of the guest's port and of the monitor, compiled device tree or None.
    """
    args = ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", *_machine(guest),
            "-kernel", guest.kernel, "-initrd", f"/dev/fd/{initrd}", "-append", command_line(guest)]
    if devicetree is not None:
        args += ["-dtb", f"/dev/fd/{devicetree}"]

    def device(**what):
        args.extend(["-device", json.dumps(what)])

    args += ["-chardev", f"file,id=console,path=/dev/fd/{console}", "-serial", "chardev:console"]
    device(driver="virtio-serial-pci", id="vs0", max_ports=4)
    args += ["-chardev", f"socket,id=port,fd={port}"]
    device(driver="virtserialport", bus="vs0.0", nr=1, chardev="port", name=PORT_NAME)
    if guest.tty:
        args += ["-chardev", "stdio,id=tty,signal=off"]
        device(driver="virtconsole", bus="vs0.0", nr=2, chardev="tty")
    args += ["-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control"]
    for d in guest.devices:
        args += d.qemu()
    return args + guest.qemu_words


def _mount_script(device):
    """The script /harness/mount/NAME of a guest, which mounts the image on a device."""
    return (f"# usage: sh /harness/mount/{device.name} DIR\n"
            f"node=/dev/harness/{device.name} dir=$1\n{device.mount}\n").encode()


def initramfs(guest):
    """The base archive, and a second one with this run's own files, as bytes."""
    try:
        with open(guest.base, "rb") as stream:
            base = stream.read()
    except OSError as error:
        raise HarnessError(f"{guest.base}: {error.strerror}; 'make guest' builds it") from None
    own = cpio.Archive()
    env = {"CARVEOUT_DRIVER": CARVEOUT_PARAMETER, **guest.env}
    own.file("/harness/devices", "".join(d.line() + "\n" for d in guest.devices).encode())
    own.file("/harness/argv", b"".join(os.fsencode(a) + b"\0" for a in guest.argv))
    own.file("/harness/env", b"".join(os.fsencode(f"{k}={v}") + b"\0" for k, v in env.items()))
    for device in guest.devices:
        if device.mount:
            own.file(f"/harness/mount/{device.name}", _mount_script(device))
    if guest.tty:
        own.file("/harness/tty", b"/dev/hvc0")
    modules = [(path, "/harness/modules/" + os.path.basename(path)) for path in kernel_modules(guest.kernel)]
    for host, inside in modules + guest.files:
        try:
            own.copy(host, inside)
        except OSError as error:
            raise HarnessError(f"file {host} for the guest: {error.strerror}") from None
    return base + bytes(own)

# SPDX-License-Identifier: GPL-2.0-or-later
"""What QEMU and the kernel of a guest are told: arguments, parameters, files."""
import json
import os
import re

from . import cpio
from .arch import compile_devicetree
from .device import CARVEOUT_PARAMETER
from .host import MIB, HarnessError
from .kernel import kernel_modules

PORT_NAME = "erofs-ramdax"       # as in qemu/guest/init.c
# Code that emulation keeps, in MiB, and the same for guests with little memory.
CODE_CACHE, CODE_CACHE_SMALL = 128, 32
SMALL_GUEST = 128 * MIB
# RCU warns after 20 s in which a loaded host gave the guest no CPU.  A guest that really
# hangs runs into the time limit of the harness.
LOADED_HOST = ("rcupdate.rcu_cpu_stall_timeout=300",)


def insert_fields(text, guest, what):
    """`text` with the addresses and sizes of devices in place of {NAME.address} and {NAME.size}.

    {ram.address} is in the middle of RAM, at a whole MiB.  Raises HarnessError, which begins with `what`, for a device or field that is not there.
    """
    fields = {f"{{{d.name}.{field}}}": getattr(d, field) for d in guest.devices
              for field in ("address", "size") if getattr(d, field, None) is not None}
    fields["{ram.address}"] = guest.arch.ram + guest.memory // MIB // 2 * MIB

    def value(match):
        if match[0] not in fields:
            raise HarnessError(f"{what}: no device has {match[0]}")
        return hex(fields[match[0]])

    return re.sub(r"\{\w+\.\w+\}", value, text)


def read_devicetree(path, guest):
    """The source of a device tree, with what stands in it for addresses; see insert_fields(). Raises HarnessError."""
    what = f"device tree {path}"
    try:
        with open(path, encoding="utf-8") as stream:
            source = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{what}: {getattr(error, 'strerror', error)}") from None
    source = insert_fields(source, guest, what)
    compile_devicetree(source, what)
    return source


def command_line(guest):
    """The kernel parameters of a guest."""
    words = [*guest.arch.words, f"loglevel={8 if guest.verbose else 5}", "panic=-1", "oops=panic", "panic_on_warn=1",
             "rdinit=/init", f"GUEST_ID={guest.id}", f"GUEST_COUNT={guest.count}"]
    for device in guest.devices:
        words += device.kernel_words()
    if ranges := [r for device in guest.devices for r in device.ranges()] + guest.ranges:
        words.append(f"{CARVEOUT_PARAMETER}=" + ",".join(ranges))
    if guest.accel == "tcg" and not guest.icount:
        words += LOADED_HOST + guest.arch.loaded
    if guest.config.get("KASAN", "n") != "n":
        words += guest.arch.kasan
    if guest.append:
        words.append(guest.append)
    return " ".join(words)


def _machine(guest):
    """QEMU's arguments for board, memory, processors."""
    machine = list(guest.arch.machine)
    for device in guest.devices:
        machine += [word for word in device.machine if word not in machine]
    args = ["-machine", ",".join(machine), "-cpu", guest.cpu or ("host" if guest.accel == "kvm" else guest.arch.cpu),
            "-smp", str(guest.cpus), *guest.arch.memory(guest)]
    code = f"tb-size={CODE_CACHE_SMALL if guest.memory < SMALL_GUEST else CODE_CACHE}"
    if guest.accel == "kvm":
        return args + ["-accel", "kvm"]
    if guest.icount:
        return args + ["-accel", f"tcg,thread=single,{code}", "-icount", "shift=0,sleep=off"]
    return args + ["-accel", f"tcg,thread={'multi' if guest.cpus > 1 else 'single'},{code}"]


def qemu_arguments(guest, initrd, console, port, monitor, keep):
    """QEMU's arguments.

    initrd, console, port, monitor are descriptors that QEMU inherits: initramfs, console, sockets
    of the guest's port and of the monitor; of `keep` see Arch.boot().
    """
    args = ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", *_machine(guest),
            *guest.arch.boot(guest, command_line(guest), initrd, keep)]

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
        own.file("/harness/tty", guest.arch.tty.encode())
    modules = [(path, "/harness/modules/" + os.path.basename(path)) for path in kernel_modules(guest.kernel)]
    for host, inside in modules + guest.files:
        try:
            own.copy(host, inside)
        except OSError as error:
            raise HarnessError(f"file {host} for the guest: {error.strerror}") from None
    return base + bytes(own)

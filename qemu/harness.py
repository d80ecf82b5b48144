# SPDX-License-Identifier: GPL-2.0-or-later
"""Start 1 to 16 QEMU guests, give them memory images, collect their results.

    import harness
    guests = [harness.Guest(kernel, ["verify", "/mnt", "/list"],
                            devices=["pmem:golden.erofs"]) for _ in range(3)]
    ok = harness.run(guests, barrier=lambda name, guests: measure([g.pid for g in guests]))
    for g in guests:
        print(g.id, g.failure or g.results)

Wrong use raises HarnessError with one sentence.  A guest that goes wrong raises
nothing: its `failure` says what happened and `console()` what it printed.

Everything runs in one thread.  Nothing is written to disk unless `log` is
given: initramfs and console are memory files, port and monitor are socket pairs
that QEMU inherits.  QEMU runs in a process group of its own, so that Ctrl-C
reaches only this process, which ends it; and it dies with this process
(PR_SET_PDEATHSIG), whatever that dies of.

Documentation/harness.md is the user's view.
"""
import collections
import contextlib
import ctypes
import fcntl
import json
import math
import os
import re
import selectors
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

import cpio

MIB = 1 << 20
GIB = 1 << 30
MAX_GUESTS = 16
PORT_NAME = "erofs-ramdax"       # as in qemu/guest/init.c
CONSOLE_TAIL = 25                # lines of console that a failure report shows
TICK = 0.1                       # seconds between looks at console and clock
TOOL_WAIT = 10.0                 # seconds that an interrupted tool has to clean up
EXIT_WAIT = 20.0                 # seconds from a guest's "exit" to the end of QEMU
DUMP_WAIT = 2.0                  # seconds for a hung guest to say where it hangs
START_MARK = "--- the command starts ---"
RESTART = "reboot: Restarting system"     # the kernel's last word, always
DUMP_MARK = "--- the time limit is reached: tasks that block, and what the CPU does ---"
PROBE_TIMEOUT = 20.0             # seconds in which an accelerator must boot a guest

# The kernel maps memory of a device in subsections of this size
# (memremap_compat_align() in mm/memremap.c); elsewhere a namespace is refused.
MEMORY_ALIGN = 2 * MIB

# With this much RAM the "q35" machine keeps only the second figure below 4 GiB
# (QEMU's hw/i386/pc_q35.c: lowmem).
LOWMEM = 0xB0000000
LOWMEM_SPLIT = 0x80000000
# qemu -cpu max has 40 physical address bits under emulation.
MAX_ADDRESS = 1 << 39

# What a kernel prints when something is wrong, at the start of a message.
SPLAT = re.compile(
    r"^(?:\[[ 0-9.]+\]\s*(?:\[[ TC0-9]+\]\s*)?)?("
    r"WARNING: |BUG: |BUG at |kernel BUG at |watchdog: BUG: |Oops|"
    r"Kernel panic - not syncing|UBSAN: |general protection fault|"
    r"kmemleak: [0-9]+ new suspected|DEBUG_LOCKS_WARN_ON|"
    r"INFO: task .* blocked for more than|rcu: INFO: .*detected .*stall|"
    r"BUG .*: |INFO: rcu.* detected stalls|unregister_netdevice: )")


class HarnessError(Exception):
    """Wrong use: one sentence that says what was wrong and what to do."""


class Interrupted(Exception):
    """A signal ended the run; all guests are gone. `signum` says which."""

    def __init__(self, signum):
        super().__init__(f"ended by {signal.Signals(signum).name}")
        self.signum = signum


def parse_size(text, what="size"):
    """Bytes from "4096", "64K", "256M" or "2G"; raises HarnessError."""
    match = re.fullmatch(r"([0-9]+)([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise HarnessError(f"{what} '{text}' is no size; write 4096, 64K, 256M or 2G")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[match[2].upper()]


def round_up(value, to):
    """The next multiple of `to`."""
    return -(-value // to) * to


class Device:
    """One backing device of a guest.

    kind     pmem, nvdimm, carveout (memory), blk (read-only disk), disk (scratch)
    path     image file; None for a scratch disk
    size     bytes
    address  guest-physical start of a memory device (set when the guest is laid out)
    name     KIND and a number per kind: the guest has it as /dev/harness/NAME
    options  what followed the image, as a dict
    """

    MEMORY = ("pmem", "nvdimm", "carveout")
    KINDS = MEMORY + ("blk", "disk")
    # How the kernel hears of a memory device: by memmap= or firmware, by ramdax=, not.
    HEARD_OF = {"carveout": ("pmem", "ramdax", "none"), "nvdimm": ("pmem", "ramdax")}
    OPTIONS = {"carveout": {"as"}, "nvdimm": {"as"}, "blk": {"bps", "iops"}, "disk": {"bps", "iops"}}

    def __init__(self, spec):
        """Parse KIND:IMAGE[@ADDRESS][,OPTION=VALUE...] or disk:SIZE[,...]."""
        kind, colon, rest = spec.partition(":")
        if not colon or kind not in self.KINDS:
            raise HarnessError(f"device '{spec}': write KIND:IMAGE, where KIND is one of "
                               f"{', '.join(self.KINDS[:-1])}, or disk:SIZE")
        self.kind, self.spec, self.name = kind, spec, None
        self.path, self.address, self.options = None, None, {}
        allowed = self.OPTIONS.get(kind, set())
        # A comma may be in a file's name: only what looks like an option is one.
        while match := re.fullmatch(r"(.+),([a-z]+)=([^,]*)", rest):
            if match[2] not in allowed:
                raise HarnessError(f"device '{spec}': {kind} has no option '{match[2]}'"
                                   + (f", only {', '.join(sorted(allowed))}" if allowed else ""))
            rest, self.options[match[2]] = match[1], match[3]
        for key in ("bps", "iops"):
            if key in self.options:
                self.options[key] = parse_size(self.options[key], f"device '{spec}': {key}")
                if not self.options[key]:
                    raise HarnessError(f"device '{spec}': {key} must be above 0")
        ways = self.HEARD_OF.get(kind, ())
        if "as" in self.options and self.options["as"] not in ways:
            raise HarnessError(f"device '{spec}': as= is {', '.join(ways[:-1])} or {ways[-1]}")
        if kind == "disk":
            self.size = parse_size(rest, f"device '{spec}': size")
            if not self.size or self.size % 512:
                raise HarnessError(f"device '{spec}': the size must be a multiple of 512 bytes, above 0")
            return
        if kind == "carveout" and (match := re.fullmatch(r"(.+)@([^@/]+)", rest)):
            rest = match[1]
            try:
                self.address = int(match[2], 0)
            except ValueError:
                raise HarnessError(f"device '{spec}': '{match[2]}' is no address; "
                                   "write a number such as 0x140000000") from None
        self.path = rest
        self._check_image()

    def _check_image(self):
        try:
            with open(self.path, "rb") as stream:
                mode = os.fstat(stream.fileno()).st_mode
                self.size = stream.seek(0, os.SEEK_END)
        except OSError as error:
            raise HarnessError(f"device '{self.spec}': {self.path or 'an image'}: "
                               f"{error.strerror}") from None
        if not (stat.S_ISREG(mode) or (stat.S_ISBLK(mode) and self.kind == "blk")):
            raise HarnessError(f"device '{self.spec}': {self.path} is no regular file")
        align = MEMORY_ALIGN if self.is_memory else 512
        if not self.size or self.size % align:
            unit = "2 MiB" if self.is_memory else "512 bytes"
            fix = f"truncate -s %{'2M' if self.is_memory else '512'} '{self.path}'"
            raise HarnessError(f"device '{self.spec}': the image has {self.size} bytes, and a {self.kind} "
                               f"device needs a multiple of {unit}; '{fix}' pads it")

    @property
    def is_memory(self):
        """Is it memory of the guest, rather than a disk?"""
        return self.kind in self.MEMORY


def lay_out(devices, memory):
    """Name the devices and give each memory device an address.

    `memory` is the guest's RAM in bytes.  Memory devices live where the machine
    has its device memory: from the first GiB above RAM.  Each starts on
    a GiB of its own.  Returns (base, end) of that window.  Raises HarnessError
    for an address outside of it, misaligned or taken twice.
    """
    count = collections.Counter()
    for device in devices:
        device.name = f"{device.kind}{count[device.kind]}"
        count[device.kind] += 1
    above = memory - LOWMEM_SPLIT if memory >= LOWMEM else 0
    base = round_up(4 * GIB + above, GIB)
    taken = []
    for device in devices:
        if device.address is None:
            continue
        start, end = device.address, device.address + device.size
        if start % MEMORY_ALIGN:
            raise HarnessError(f"device '{device.spec}': address {start:#x} is no multiple of 2 MiB")
        if start < base or end > MAX_ADDRESS:
            raise HarnessError(f"device '{device.spec}': address {start:#x} must lie outside guest RAM, "
                               f"from {base:#x} to {MAX_ADDRESS - device.size:#x}")
        for other_start, other_end, other in taken:
            if start < other_end and other_start < end:
                raise HarnessError(f"device '{device.spec}' overlaps '{other.spec}'; "
                                   f"the next free address is {round_up(other_end, GIB):#x}")
        taken.append((start, end, device))
    top = max([base] + [round_up(end, GIB) for _, end, _ in taken])
    for device in devices:
        if device.is_memory and device.address is None:
            device.address = top
            top += round_up(device.size, GIB)
    if top > MAX_ADDRESS:
        raise HarnessError("the memory devices do not fit below 512 GiB; use lower addresses")
    return base, top


def check_kernel(path):
    """Raise HarnessError unless `path` is a bzImage.

    Magic numbers: Documentation/arch/x86/boot.rst, offsets 0x1fe and 0x202.
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(0x206)
    except OSError as error:
        hint = "; 'make kernel' builds one" if isinstance(error, FileNotFoundError) else ""
        raise HarnessError(f"kernel {path}: {error.strerror}{hint}") from None
    if head[0x1FE:0x200] != b"\x55\xaa" or head[0x202:0x206] != b"HdrS":
        raise HarnessError(f"{path} is no x86 kernel (bzImage)")


def find_qemu():
    """Path of the emulator; $QEMU overrides it. Raises HarnessError."""
    name = os.environ.get("QEMU", "qemu-system-x86_64")
    path = shutil.which(name)
    if not path:
        raise HarnessError(f"{name} is not installed; 'make packages' installs it")
    return path


def memory_file(name, data=b""):
    """A descriptor of an anonymous file that QEMU can open as /dev/fd/N."""
    fd = os.memfd_create(name)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]
    return fd


def compile_devicetree(path, devices):
    """The device tree (DTB) of a source, as bytes. Raises HarnessError.

    {NAME.address} and {NAME.size} in the source are those of the device NAME.
    """
    def value(match):
        number = getattr(next((d for d in devices if d.name == match[1]), None), match[2], None)
        if number is None:
            raise HarnessError(f"device tree {path}: no device has {match[0]}")
        return hex(number)

    try:
        with open(path, encoding="utf-8") as stream:
            source = re.sub(r"\{(\w+)\.(address|size)\}", value, stream.read())
        done = subprocess.run(["dtc", "-I", "dts", "-O", "dtb", "-"], input=source.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    except FileNotFoundError as error:
        if error.filename != "dtc":
            raise HarnessError(f"device tree {path}: {error.strerror}") from None
        raise HarnessError("dtc is not installed; 'make packages' installs it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"device tree {path}: {error}") from None
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["?"]
        raise HarnessError(f"device tree {path}: {why[0]}")
    return done.stdout


_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1             # include/uapi/linux/prctl.h


def _die_with(parent):
    """In the new child: be killed when the parent dies, also if it just did."""
    if _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) or os.getppid() != parent:
        os._exit(127)


class Guest:
    """One guest, from its description to its results.

    kernel    path of a bzImage
    argv      command to run in the guest: program and arguments
    devices   Device objects or specs ("pmem:IMAGE"); not shared between guests
    memory    bytes of RAM
    cpus      virtual CPUs
    files     (host path, guest path) of files to put into the initramfs
    env       environment of the command; GUEST_ID and GUEST_COUNT are added
    append    more kernel parameters; {NAME.address} and {NAME.size} stand for
              those of a device, for example {carveout0.address}
    devicetree  source of a device tree for the kernel (.dts), beside ACPI; with
              the same {NAME.address} and {NAME.size}; None for none
    timeout   seconds from start to end
    icount    count instructions: guest time = instructions, one CPU, emulation
    accel     "kvm" or "tcg"; None takes what works (see find_accel)
    cpu       CPU model; None: all that the accelerator can do
    base      the base initramfs (make guest)
    log       file for the console; None keeps it in memory
    tty       give the command this process's terminal (make shell)
    verbose   whole kernel log on the console, not only warnings
    on_output called with (guest, "stdout" | "stderr", line) as lines arrive

    Then: id, pid (of QEMU, while it runs), results (JSON values in the order
    they came), output ([(stream, line)]), status (exit status of the command,
    None if it did not end), failure (None or what went wrong), seconds.
    """

    def __init__(self, kernel, argv, devices=(), *, memory=256 * MIB, cpus=1, files=(), env=None,
                 append="", devicetree=None, timeout=60.0, icount=False, accel=None, cpu=None, base=None,
                 log=None, tty=False, verbose=False, on_output=None):
        check_kernel(kernel)
        if not argv:
            raise HarnessError("there is no program to run in the guest")
        if memory < 64 * MIB or memory % MIB:
            raise HarnessError(f"guest memory of {memory} bytes: at least 64M, in whole MiB")
        if cpus < 1 or (icount and cpus > 1):
            raise HarnessError("a guest has at least one CPU, and exactly one under --icount")
        if not (timeout > 0 and math.isfinite(timeout)):
            raise HarnessError("the time limit must be above 0 seconds")
        if icount and accel == "kvm":
            raise HarnessError("instructions can be counted only under emulation (ACCEL=tcg)")
        self.kernel, self.argv = kernel, [str(a) for a in argv]
        self.devices = [d if isinstance(d, Device) else Device(d) for d in devices]
        self.memory, self.cpus, self.files = memory, cpus, list(files)
        self.env, self.timeout, self.icount = dict(env or {}), timeout, icount
        self.accel, self.cpu, self.log, self.tty = accel, cpu, log, tty
        self.verbose, self.on_output = verbose, on_output
        self.base = base or os.path.join(build_dir(), "guest", "base.cpio")
        self._base, self._top = lay_out(self.devices, memory)
        try:
            self.append = append.format(**{d.name: d for d in self.devices})
        except (KeyError, AttributeError, IndexError, ValueError) as error:
            raise HarnessError(f"kernel parameters '{append}': no such device or field: {error}") from None
        self.devicetree = compile_devicetree(devicetree, self.devices) if devicetree else b""
        self.id, self.count = 0, 1
        self.results, self.output, self.status, self.failure = [], [], None, None
        self.seconds, self.waiting, self.closed = None, None, False
        self._process = self._port = self._monitor = self._console_fd = self._pidfd = None
        self._errors = b""
        self._started = self._ended = self._dumped = self._nmi = None
        self._port_buffer = self._console_buffer = b""
        self._tail = collections.deque(maxlen=400)
        self._splat = self._quiet = None
        self._died, self._never_ran, self._waited = False, False, 0.0
        self._qemu = self._initramfs = self._devicetree_fd = None
        self._console_text = ""

    # -- before the start

    def initramfs(self):
        """The bytes of base archive and this run's own files."""
        try:
            with open(self.base, "rb") as stream:
                base = stream.read()
        except OSError as error:
            raise HarnessError(f"{self.base}: {error.strerror}; 'make guest' builds it") from None
        own = cpio.Archive()
        lines = []
        for d in self.devices:
            if d.is_memory:
                if d.options.get("as") == "ramdax":
                    lines.append(f"{d.name} ramdax {d.name}")
                elif d.options.get("as") != "none":
                    lines.append(f"{d.name} memory {d.address:#x} {d.size}")
            else:
                lines.append(f"{d.name} serial {d.name} {d.size}")
        own.file("/harness/devices", "".join(line + "\n" for line in lines).encode())
        own.file("/harness/argv", b"".join(os.fsencode(a) + b"\0" for a in self.argv))
        own.file("/harness/env", b"".join(os.fsencode(f"{k}={v}") + b"\0" for k, v in self.env.items()))
        if self.tty:
            own.file("/harness/tty", b"/dev/hvc0")
        for host, guest in self.files:
            try:
                own.copy(host, guest)
            except OSError as error:
                raise HarnessError(f"file {host} for the guest: {error.strerror}") from None
        return base + bytes(own)

    def command_line(self):
        """Kernel parameters."""
        words = ["console=ttyS0", "earlyprintk=ttyS0", f"loglevel={8 if self.verbose else 5}",
                 "panic=-1", "oops=panic", "panic_on_warn=1", "unknown_nmi_panic=1",
                 "reboot=t", "rdinit=/init", f"GUEST_ID={self.id}", f"GUEST_COUNT={self.count}"]
        words += [f"memmap={d.size:#x}!{d.address:#x}" for d in self.devices
                  if d.kind == "carveout" and d.options.get("as", "pmem") == "pmem"]
        if ranges := [f"{d.name}:{d.size:#x}@{d.address:#x}" for d in self.devices
                      if d.options.get("as") == "ramdax"]:
            words.append("ramdax=" + ",".join(ranges))
        if self.accel == "tcg" and not self.icount:
            # On a loaded host an emulated TSC is calibrated wrongly, and then the
            # guest's seconds are not seconds.
            words.append("clocksource=hpet")
        if self.append:
            words.append(self.append)
        return " ".join(words)

    def qemu_arguments(self, initrd, console):
        """QEMU's arguments; port and monitor are the descriptors of the socket pairs.

        `initrd` and `console` are paths.
        """
        # Not "pc": its _PRT is a loop of 128 turns, which a kernel with KASAN takes
        # ten seconds for under emulation, once for each device.
        machine = ["q35", "vmport=off", "smbus=off", "sata=off"]
        memory = f"{self.memory // MIB}M"
        mem = [d for d in self.devices if d.is_memory]
        if mem:
            slots = len(mem)
            # The machine sets a GiB aside for each slot's alignment by itself.
            top = round_up(self.memory, GIB) + self._top - self._base
            memory += f",slots={slots},maxmem={top // MIB}M"
        if any(d.kind == "nvdimm" for d in mem):
            machine.append("nvdimm=on")
        cpu = self.cpu or ("host" if self.accel == "kvm" else "max")
        args = ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
                "-machine", ",".join(machine), "-cpu", cpu, "-smp", str(self.cpus), "-m", memory]
        if self.accel == "kvm":
            args += ["-accel", "kvm"]
        elif self.icount:
            args += ["-accel", "tcg,thread=single,tb-size=128", "-icount", "shift=0,sleep=off"]
        else:
            args += ["-accel", f"tcg,thread={'multi' if self.cpus > 1 else 'single'},tb-size=128"]
        args += ["-kernel", self.kernel, "-initrd", initrd, "-append", self.command_line()]
        if self._devicetree_fd is not None:
            args += ["-dtb", f"/dev/fd/{self._devicetree_fd}"]

        def device(**what):
            args.extend(["-device", json.dumps(what)])

        args += ["-chardev", "file,id=console,path=" + console.replace(",", ",,"),
                 "-serial", "chardev:console"]
        device(driver="virtio-serial-pci", id="vs0", max_ports=4)
        args += ["-chardev", f"socket,id=port,fd={self._port_child.fileno()}"]
        device(driver="virtserialport", bus="vs0.0", nr=1, chardev="port", name=PORT_NAME)
        if self.tty:
            args += ["-chardev", "stdio,id=tty,signal=off"]
            device(driver="virtconsole", bus="vs0.0", nr=2, chardev="tty")
        args += ["-chardev", f"socket,id=monitor,fd={self._monitor_child.fileno()}",
                 "-mon", "chardev=monitor,mode=control"]
        for d in self.devices:
            if d.is_memory:
                args += ["-object", json.dumps({
                    "qom-type": "memory-backend-file", "id": "mem-" + d.name, "mem-path": d.path,
                    "size": d.size, "share": True, "readonly": True})]
                what = {"id": d.name, "memdev": "mem-" + d.name}
                if d.kind == "pmem":
                    device(driver="virtio-pmem-pci", memaddr=d.address, **what)
                elif d.kind == "nvdimm":
                    device(driver="nvdimm", addr=d.address, unarmed=True, **what)
                else:
                    device(driver="pc-dimm", addr=d.address, **what)
                continue
            node = {"driver": "file", "node-name": "file-" + d.name, "filename": d.path,
                    "read-only": d.kind == "blk"}
            if d.kind == "disk":
                node["filename"] = f"/dev/fd/{d.fd}"
            elif stat.S_ISBLK(os.stat(d.path).st_mode):
                node["driver"] = "host_device"
            args += ["-blockdev", json.dumps(node)]
            top_node = "file-" + d.name
            limits = {k + "-total": d.options[k] for k in ("bps", "iops") if k in d.options}
            if limits:
                args += ["-object", json.dumps({"qom-type": "throttle-group", "id": "tg-" + d.name,
                                                "limits": limits}),
                         "-blockdev", json.dumps({"driver": "throttle", "node-name": "slow-" + d.name,
                                                  "throttle-group": "tg-" + d.name, "file": top_node,
                                                  "read-only": d.kind == "blk"})]
                top_node = "slow-" + d.name
            device(driver="virtio-blk-pci", id=d.name, drive=top_node, serial=d.name)
        return args

    def prepare(self):
        """Do what may take long: read the initramfs, find out how to accelerate."""
        self._qemu = find_qemu()
        self._initramfs = self.initramfs()
        if not self.accel:
            self.accel = "tcg" if self.icount else find_accel(self.kernel)

    def start(self):
        """Start QEMU, after prepare(). Raises HarnessError if it cannot be started at all."""
        fds = []
        with contextlib.ExitStack() as stack:
            self._port, self._port_child = socket.socketpair()
            self._monitor, self._monitor_child = socket.socketpair()
            stack.callback(self._port_child.close)
            stack.callback(self._monitor_child.close)
            fds += [self._port_child.fileno(), self._monitor_child.fileno()]
            initrd = memory_file("initrd", self._initramfs)
            self._initramfs = None
            stack.callback(os.close, initrd)
            fds.append(initrd)
            if self.devicetree:
                self._devicetree_fd = memory_file("devicetree", self.devicetree)
                stack.callback(os.close, self._devicetree_fd)
                fds.append(self._devicetree_fd)
            for d in self.devices:
                if d.kind == "disk":
                    d.fd = memory_file("disk")
                    stack.callback(os.close, d.fd)
                    os.ftruncate(d.fd, d.size)
                    fds.append(d.fd)
            if self.log:
                try:
                    self._console_fd = os.open(self.log, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
                except OSError as error:
                    raise HarnessError(f"console log {self.log}: {error.strerror}") from None
            else:
                self._console_fd = memory_file("console")
            fds.append(self._console_fd)
            args = self.qemu_arguments(f"/dev/fd/{initrd}", f"/dev/fd/{self._console_fd}")
            parent = os.getpid()
            self._process = subprocess.Popen(
                [self._qemu] + args, pass_fds=fds, stdin=None if self.tty else subprocess.DEVNULL,
                stdout=None if self.tty else subprocess.DEVNULL, stderr=subprocess.PIPE,
                preexec_fn=lambda: self._in_child(parent))
            self._started = time.monotonic()
        for stream in (self._port, self._monitor):
            stream.setblocking(False)
        os.set_blocking(self._process.stderr.fileno(), False)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._monitor.send(b'{"execute":"qmp_capabilities"}\n')

    def _in_child(self, parent):
        _die_with(parent)
        # With a terminal QEMU must stay in its foreground group to read from it.
        if not self.tty:
            os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN if self.tty else signal.SIG_DFL)

    # -- while it runs

    @property
    def pid(self):
        """Process id of QEMU, or None when it does not run."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def ended(self):
        """Has QEMU ended and been reaped?"""
        return self._process is not None and self._process.returncode is not None

    def sources(self):
        """Descriptors to watch, each with the function to call."""
        return [(self._port, self.read_port), (self._monitor, self.read_monitor),
                (self._process.stderr, self.read_errors), (self._pidfd, self.read_end)]

    def read_port(self):
        """Take lines from the guest."""
        while True:
            try:
                data = self._port.recv(1 << 16)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            self._port_buffer += data
            if b"\n" in data:
                *lines, self._port_buffer = self._port_buffer.split(b"\n")
                for line in lines:
                    self._take(line)

    def _take(self, line):
        try:
            event = json.loads(line)
            kind = event["event"]
            if kind in ("stdout", "stderr"):
                # init writes each byte as one character
                text = event["text"].encode("latin-1").decode("utf-8", "replace")
                self.output.append((kind, text))
                if self.on_output:
                    self.on_output(self, kind, text)
            elif kind == "result":
                self.results.append(event["value"])
            elif kind == "ready":
                self.waiting = event["name"]
            elif kind == "error":
                self._never_ran = True
                self.fail(event["text"])
            elif kind == "exit":
                # after an error it is the status of init
                self.status = None if self._never_ran else event["status"]
                self._ended = self._clock(time.monotonic())
                self.send("bye")
            elif kind == "start":
                self.scan_console()
                self._tail.append(START_MARK)
            else:
                raise KeyError(kind)
        except (ValueError, KeyError, TypeError, AttributeError):
            self.fail(f"sent a line that is no JSON result: {line[:200].decode('utf-8', 'replace')}")

    def send(self, text):
        """Send a line to init; a guest that reads nothing loses it."""
        with contextlib.suppress(OSError):
            self._port.send(text.encode() + b"\n")

    def read_monitor(self):
        """QEMU's monitor: nothing in it matters, but it must not fill up."""
        try:
            return bool(self._monitor.recv(1 << 16))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def read_errors(self):
        """What QEMU itself complains about."""
        data = self._process.stderr.read()
        if data:
            self._errors += data
        return data is None or bool(data)

    def read_end(self):
        """QEMU ended: say why, if it was not what the guest wanted."""
        self._process.wait()
        self.read_port()
        self.read_errors()
        self.scan_console()
        code = self._process.returncode
        errors = self._errors.decode("utf-8", "replace").strip()
        if code:
            self.fail((f"QEMU ended with signal {-code}" if code < 0 else f"QEMU ended with status {code}")
                      + (f": {errors.splitlines()[-1]}" if errors else ""))
        elif self.status is None:
            self._died = True
            self.fail("the guest restarted before the command ended" if self._tail else
                      "the guest stopped before it printed anything; is the kernel for this CPU?")
        elif self.status:
            self.fail(f"{os.path.basename(self.argv[0])} ended with "
                      + (f"signal {self.status - 128}" if self.status > 128 else f"status {self.status}"))
        return False

    def fail(self, why):
        """Note what went wrong; the first cause stays."""
        if not self.failure:
            self.failure = why

    def scan_console(self):
        """Look for kernel warnings in what is new on the console."""
        while data := os.read(self._console_fd, 1 << 16):
            self._console_buffer += data
        *lines, self._console_buffer = self._console_buffer.split(b"\n")
        for raw in lines:
            line = raw.decode("utf-8", "replace").rstrip("\r")
            self._tail.append(line)
            # A diagnosis that the harness asked for is not a finding.
            if not self._splat and not self._dumped and (match := SPLAT.match(line)):
                self._splat = line
                kind = "panicked" if "panic" in match[1] else "printed a kernel warning"
                self.fail(f"the guest {kind}: {re.sub(r'^[][ 0-9.TC]*', '', line)}")

    def _clock(self, now):
        """Seconds since the start in which the guest could run.

        On a host with too much to do a guest gets little done in much time, and is
        not to be taken for one that hangs: what its busiest thread waited for a CPU
        of the host does not count (second field of /proc/PID/task/TID/schedstat in
        ns, see Documentation/scheduler/sched-stats.rst of the kernel).
        """
        with contextlib.suppress(OSError, ValueError, IndexError):
            for task in os.scandir(f"/proc/{self.pid}/task"):
                with open(task.path + "/schedstat", encoding="ascii") as stream:
                    # The maximum so far: a thread that ends takes its figure along.
                    self._waited = max(self._waited, int(stream.read().split()[1]) / 1e9)
        return now - self._started - self._waited

    def _busy(self, now, since, limit):
        """Is it more than `limit` seconds after `since`, by the guest's clock?"""
        return now - self._started > since + limit and self._clock(now) > since + limit

    def tick(self, now):
        """Watch console and clock. Ends QEMU when it is over."""
        self.scan_console()
        if self._dumped:
            if now - self._dumped > DUMP_WAIT and not self._nmi:
                self._nmi = now
                with contextlib.suppress(OSError):
                    self._monitor.send(b'{"execute":"inject-nmi"}\n')
            elif self._nmi and now - self._nmi > DUMP_WAIT:
                self.kill()
        elif self._ended is not None and self._busy(now, self._ended, EXIT_WAIT):
            self.fail(f"the guest did not power off within {EXIT_WAIT:.0f} s of its end")
            self.kill()
        elif self._ended is None and self._busy(now, 0.0, self.timeout):
            stage = f", waiting at barrier '{self.waiting}'" if self.waiting else ""
            self.fail(f"no end within the time limit of {self.timeout:.0f} s{stage}")
            # Let it say where it hangs: init first, which lists blocked tasks;
            # a kernel that is past that gets an NMI, at which it panics.
            self._dumped = now
            self._tail.append(DUMP_MARK)
            self.send("dump")
        elif self.failure and self._ended is None and not self._splat:
            self.kill()
        elif self._splat:
            # The rest of the report is still on its way: wait until it is quiet.
            size = os.fstat(self._console_fd).st_size
            if not self._quiet or size != self._quiet[0]:
                self._quiet = (size, now)
            elif now - self._quiet[1] > 1.0:
                self.kill()

    def kill(self):
        """End QEMU at once; its end is noticed through the pidfd."""
        if self.pid:
            self._process.kill()

    def close(self):
        """Kill, reap and close whatever is open. May be called twice."""
        if self.closed:
            return
        self.closed = True
        if self._process:
            self.kill()
            self._process.wait()
            self._process.stderr.close()
            self.seconds = time.monotonic() - self._started
        for stream in (self._port, self._monitor):
            if stream:
                stream.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
        if self._console_fd is not None:
            self.scan_console()
            if self._console_buffer:
                self._tail.append(self._console_buffer.decode("utf-8", "replace"))
            os.lseek(self._console_fd, 0, os.SEEK_SET)
            with open(self._console_fd, "rb") as stream:
                self._console_text = stream.read().decode("utf-8", "replace").replace("\r", "")

    # -- afterwards

    def console(self):
        """Everything on the console, once the guest has ended."""
        return self._console_text

    def console_tail(self, lines=CONSOLE_TAIL):
        """The part of the console that a report shows.

        From the first warning on if there was one, around the time limit if it
        ran into that, else the last lines; of a command that just failed, only
        what came after its start.
        """
        tail = list(self._tail)
        for mark, before, after in ((self._splat, 2, lines), (DUMP_MARK, lines // 2, 2 * lines)):
            if mark in tail:
                at = tail.index(mark)
                return tail[max(0, at - before):at + after]
        if START_MARK in tail and not self._died:
            tail = [line for line in tail[tail.index(START_MARK) + 1:] if not line.endswith(RESTART)]
        return tail[-lines:]

    def report(self):
        """Failure and console as text for a person; empty if all went well."""
        if not self.failure:
            return ""
        head = f"guest {self.id}: {self.failure}"
        tail = self.console_tail()
        if not tail and START_MARK not in self._tail:
            return head + "\n  (its console is empty)"
        return "\n".join([head] + ["  | " + line for line in tail])


class Group:
    """Guests that run together and meet at barriers.

    barrier  called with (name, guests) while all of them wait there
    """

    def __init__(self, guests, barrier=None):
        if not 1 <= len(guests) <= MAX_GUESTS:
            raise HarnessError(f"{len(guests)} guests: between 1 and {MAX_GUESTS} can run together")
        self.guests, self.barrier = list(guests), barrier
        for i, guest in enumerate(self.guests):
            guest.id, guest.count = i, len(self.guests)

    @property
    def running(self):
        """Guests whose QEMU lives."""
        return [g for g in self.guests if g.pid]

    def step(self):
        """Open a barrier that all have reached; end all when one has failed."""
        failed = next((g for g in self.guests if g.failure), None)
        if failed:
            for g in self.running:
                if g is not failed and not g.failure:
                    g.fail(f"ended, because guest {failed.id} failed")
            return
        waiting = [g for g in self.guests if g.waiting]
        if not waiting:
            return
        name = waiting[0].waiting
        for g in self.guests:
            if g.status is not None and not g.waiting:
                g.fail(f"ended while guest {waiting[0].id} waits at barrier '{name}'")
                return
            if g.waiting and g.waiting != name:
                g.fail(f"waits at barrier '{g.waiting}' while guest {waiting[0].id} waits at '{name}'")
                return
        if len(waiting) == len(self.guests):
            before = time.monotonic()
            if self.barrier:
                self.barrier(name, self.guests)
            for g in self.guests:
                g.waiting = None
                # What the caller did at the barrier is not the guests' time.
                g._started += time.monotonic() - before
                g.send("go " + name)

    @property
    def ok(self):
        """Has every guest ended well?"""
        return all(g.status == 0 and not g.failure for g in self.guests)


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _signals_to_catch():
    """SIGNALS, but for a SIGHUP that is ignored, as nohup(1) wants it."""
    return [s for s in SIGNALS if s != signal.SIGHUP or signal.getsignal(s) != signal.SIG_IGN]


@contextlib.contextmanager
def interruptible():
    """Let SIGINT, SIGTERM and SIGHUP raise Interrupted inside, at once.

    For all that a program does beside running guests; run() and run_groups()
    inside have their own way, which leaves nothing half done.
    """
    def caught(number, _frame):
        raise Interrupted(number)

    old = {s: signal.signal(s, caught) for s in _signals_to_catch()}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _tool_child(parent):
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _end_group(process):
    """End all of a process group: by SIGINT if that helps in time."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
        end = time.monotonic() + TOOL_WAIT
        while time.monotonic() < end:
            process.poll()
            # Raises when nobody of the group is left.
            os.killpg(process.pid, 0)
            time.sleep(TICK)
        os.killpg(process.pid, signal.SIGKILL)


def run_tool(command):
    """Run a program of the host to its end. Returns (status, what it printed).

    It has a session of its own.  What interrupts the wait ends all of it: with
    SIGINT, so that it can clean up (fakeroot does so at no other signal), then by
    force.
    """
    parent = os.getpid()
    # Not between its start and where its end is cared for.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    process = None
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, start_new_session=True,
                                   preexec_fn=lambda: _tool_child(parent))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        output = process.communicate()[0]
    except BaseException:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if process:
            _end_group(process)
        raise
    return process.returncode, output


def make_once(outputs, inputs, command, what):
    """Run `command`, which makes the files `outputs`, unless it did so before.

    `inputs`  files: if one has changed since, the outputs are made anew
    `what`    for the line that says why it takes a while
    A stamp beside the first output says of which inputs the outputs were made; it is
    gone while they are made, so that half of a file is never taken for a whole.
    Raises HarnessError with the last line of what the command printed.
    """
    # Never empty, as the stamp is in the meantime.
    key = "made of\n" + "".join(f"{s.st_size} {s.st_mtime_ns} {s.st_ino}\n" for s in map(os.stat, inputs))
    stamp = outputs[0] + ".made"
    os.makedirs(os.path.dirname(stamp), exist_ok=True)
    with open(stamp, "a+", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        if stream.read() == key and all(map(os.path.exists, outputs)):
            return
        stream.truncate(0)
        print(f"making {what}", file=sys.stderr, flush=True)
        status, output = run_tool(command)
        if status:
            raise HarnessError(f"{what} cannot be made: " + (output.strip().splitlines() or ["?"])[-1])
        stream.write(key)


def write_json(path, value):
    """Write a report: the file is there as a whole, or as it was before."""
    try:
        with open(path + ".tmp", "w", encoding="utf-8") as stream:
            json.dump(value, stream, indent=1)
            stream.write("\n")
        os.rename(path + ".tmp", path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(path + ".tmp")
        raise


class _Signals:
    """Make of a signal an Interrupted, but only where nothing is half done.

    Bytes on `socket` say that one came; within `anywhere()` it is raised at once,
    for work that may take long and leaves nothing behind.
    """

    def __enter__(self):
        self.socket, self._send = socket.socketpair()
        self.socket.setblocking(False)
        self._send.setblocking(False)
        self._open = False
        self._old_fd = signal.set_wakeup_fd(self._send.fileno(), warn_on_full_buffer=False)
        self._old = {s: signal.signal(s, self._caught) for s in _signals_to_catch()}
        return self

    def __exit__(self, *_):
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        self.socket.close()
        self._send.close()

    def _caught(self, number, _frame):
        if self._open:
            raise Interrupted(number)

    def check(self):
        """Raise Interrupted if a signal came."""
        with contextlib.suppress(BlockingIOError):
            for number in self.socket.recv(64):
                if number in SIGNALS:
                    raise Interrupted(number)
        return True

    @contextlib.contextmanager
    def anywhere(self):
        """Let a signal end what is inside."""
        self._open = True
        try:
            self.check()
            yield
        finally:
            self._open = False


def run_groups(groups, jobs=1, done=None):
    """Run groups of guests, `jobs` groups at a time, in the order given.

    `groups` may be an iterator: the next group is asked for when there is room.
    `done` is called with each group as it ends.  Raises Interrupted after
    SIGINT, SIGTERM or SIGHUP, and whatever a callback raises; all guests are
    gone by then.
    """
    groups = iter(groups)
    live, more = [], True
    selector = selectors.DefaultSelector()

    def start(guest):
        with signals.anywhere():
            guest.prepare()
        guest.start()
        for source, call in guest.sources():
            selector.register(source, selectors.EVENT_READ, call)

    def stop(guest):
        for source, _ in guest.sources():
            # KeyError: its end was reached and it is not watched any more.
            with contextlib.suppress(KeyError):
                selector.unregister(source)
        guest.close()

    with selector, _Signals() as signals:
        selector.register(signals.socket, selectors.EVENT_READ, signals.check)
        try:
            while True:
                while more and len(live) < jobs:
                    with signals.anywhere():
                        group = next(groups, None)
                    if group is None:
                        more = False
                        break
                    live.append(group)
                    for guest in group.guests:
                        start(guest)
                if not live:
                    return
                for key, _ in selector.select(TICK):
                    if not key.data():
                        selector.unregister(key.fileobj)
                now = time.monotonic()
                for group in list(live):
                    for guest in group.running:
                        guest.tick(now)
                    group.step()
                    for guest in group.guests:
                        if guest.ended and not guest.closed:
                            stop(guest)
                    if all(g.closed for g in group.guests):
                        live.remove(group)
                        if done:
                            done(group)
        finally:
            for group in live:
                for guest in group.guests:
                    guest.close()


def run(guests, barrier=None):
    """Run guests together. Returns True if all of them ended well."""
    group = Group(guests, barrier)
    run_groups([group])
    return group.ok


# -- kernels and acceleration

def kernel_config(kernel):
    """Options of a kernel as a dict, from the .config of its build; None if there is none."""
    path = os.path.join(os.path.dirname(os.path.abspath(kernel)), "../../..", ".config")
    try:
        with open(path, encoding="utf-8") as stream:
            return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", stream.read(), re.MULTILINE))
    except OSError:
        return None


def build_dir():
    """The project's build directory ($BUILD, or build/ beside qemu/)."""
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return os.environ.get("BUILD") or os.path.join(top, "build")


def guest_files(*names):
    """`files` of a Guest for scripts of qemu/guest: they go to /root."""
    here = os.path.dirname(os.path.abspath(__file__))
    return [(os.path.join(here, "guest", name), "/root/" + name) for name in names]


def kernel_of(flavour):
    """Where 'make kernel FLAVOUR=flavour' puts the kernel."""
    return os.path.join(build_dir(), "kernel", flavour, "arch/x86/boot/bzImage")


_accel = None


def find_accel(kernel):
    """Return "kvm" or "tcg": what really boots a guest here. `kernel` is tried.

    $ACCEL overrides.  /dev/kvm may exist and open without any guest ever
    starting under it, so this boots one, with a time limit, and remembers the
    answer in build/accel until QEMU, the kernel of the host or the boot changes.
    """
    global _accel
    wanted = os.environ.get("ACCEL")
    if wanted:
        if wanted not in ("kvm", "tcg"):
            raise HarnessError(f"ACCEL={wanted}: it is kvm or tcg")
        return wanted
    if not _accel:
        _accel = _remembered_accel(kernel)
    return _accel


def _remembered_accel(kernel):
    """find_accel() by the file build/accel, under a lock."""
    path = os.path.join(build_dir(), "accel")
    version = subprocess.run([find_qemu(), "--version"], stdout=subprocess.PIPE, check=True, text=True)
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
    if run([guest]):
        return "kvm", f"a guest booted under it in {guest.seconds:.1f} s"
    return "tcg", f"no guest boots under KVM ({guest.failure})"

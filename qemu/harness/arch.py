# SPDX-License-Identifier: GPL-2.0-or-later
"""What differs between the architectures of guests, one class each.

A class holds everything about its architecture: QEMU's emulator, board and processor, the
kernel's image and its parameters, where memory devices lie, and what it cannot do. A
new architecture is one more class here, in the list at the end, the devices that it has in
device.py, and a file in kernel/config/arch.
"""
import functools
import json
import os
import struct
import subprocess
import tempfile

from .device import PSERIES_ALIGN
from .host import GIB, MIB, HarnessError, build_dir, find_qemu, round_up


# qemu -cpu max of x86_64 has 40 physical address bits under emulation, and a Cortex-A76 no less.
MAX_ADDRESS = 1 << 39


def run_dtc(kind, to, *file, source=None):
    """What dtc makes of a device tree, as bytes. Raises HarnessError with the first line of what it says."""
    try:
        done = subprocess.run(["dtc", "-I", kind, "-O", to, *file], input=source, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
    except OSError:
        raise HarnessError("dtc is not installed; 'make packages' installs it") from None
    if done.returncode:
        raise HarnessError((done.stderr.decode("utf-8", "replace").strip().splitlines() or ["?"])[0])
    return done.stdout


def compile_devicetree(source, what):
    """The device tree (DTB) of a source, as bytes. Raises HarnessError, which begins with `what`."""
    try:
        return run_dtc("dts", "dtb", "-", source=source.encode())
    except HarnessError as error:
        raise HarnessError(f"{what}: {error}") from None


class Arch:
    """One architecture.

    name      as ARCH= has it
    ram       physical address of its RAM
    ram_unit  bytes: RAM of its machine is a multiple of it
    host      machine in uname(2) on which KVM can run its guests
    pages     sizes of pages that its kernels can have, as PAGES= has them; the first is the default
    emulator  QEMU's program
    image     the kernel's image in its build directory ("# image:" in kernel/config/arch)
    image_is  the same for a person
    machine   words of QEMU's -machine
    cpu       CPU model under emulation
    tty       what the guest calls the terminal of "vm shell"
    words     kernel parameters: console, and what makes a fault end the guest
    loaded    kernel parameters for an emulated guest on a host with too much to do
    kasan     kernel parameters for a kernel with KASAN
    """

    name = host = emulator = image = image_is = cpu = None
    ram, ram_unit = 0, MIB
    pages = ("4k",)
    machine = words = loaded = kasan = ()
    tty = "/dev/hvc0"

    def is_image(self, head):
        """Are these the first bytes of a kernel that QEMU boots?"""
        raise NotImplementedError

    def device_memory(self, memory):
        """Where the board has memory in slots, with so many bytes of RAM."""
        raise NotImplementedError

    def _check_address(self, device, base, taken):
        """Raise HarnessError for an address outside of the window, misaligned or taken twice."""
        start, end = device.address, device.address + device.size
        if start % device.align:
            raise device.error(f"address {start:#x} is no multiple of {device.align // MIB} MiB")
        if start < base or end > MAX_ADDRESS:
            raise device.error(f"address {start:#x} must lie outside guest RAM, "
                               f"from {base:#x} to {MAX_ADDRESS - device.size:#x}")
        for other in taken:
            other_end = other.address + other.size
            if start < other_end and other.address < end:
                raise HarnessError(f"device '{device.spec}' overlaps '{other.spec}'; "
                                   f"the next free address is {round_up(other_end, GIB):#x}")

    def lay_out(self, devices, memory):
        """Give each memory device of a guest with so many bytes of RAM an address.

        They lie where the board has its device memory, each from a GiB of its own.
        Returns (base, end) of that window.  Raises HarnessError.
        """
        devices = [device for device in devices if device.is_memory]
        if not devices:
            return 0, 0
        base = self.device_memory(memory)
        taken = []
        for device in devices:
            if device.address is not None:
                self._check_address(device, base, taken)
                taken.append(device)
        top = max([base] + [round_up(d.address + d.size, GIB) for d in taken])
        for device in devices:
            if device.address is None:
                device.address = top
                top += round_up(device.size, GIB)
        if top > MAX_ADDRESS:
            raise HarnessError("the memory devices do not fit below 512 GiB; use lower addresses")
        return base, top

    def memory(self, guest):
        """QEMU's arguments for RAM, and for slots."""
        memory = f"{guest.memory // MIB}M"
        if slots := sum(d.is_memory for d in guest.devices):
            # The machine sets a GiB aside for each slot's alignment by itself.
            base, top = guest.window
            memory += f",slots={slots},maxmem={(round_up(guest.memory, GIB) + top - base) // MIB}M"
        return ["-m", memory]

    def boot(self, guest, words, initrd, keep):
        """QEMU's arguments for the kernel.

        words   its parameters
        initrd  descriptor of the initramfs
        keep    keep(NAME, BYTES) makes a file that QEMU can open, and returns its path
        """
        args = ["-kernel", guest.kernel, "-initrd", f"/dev/fd/{initrd}", "-append", words]
        if guest.devicetree:
            args += ["-dtb", keep("devicetree", compile_devicetree(guest.devicetree, "device tree"))]
        return args

    def busybox(self):
        """Path of a static busybox for its guests."""
        return "/bin/busybox" if self.name == DEFAULT else os.path.join(self.folder("sysroot"), "bin/busybox")

    def folder(self, name):
        """A folder of the build directory that has programs for the guests of this architecture."""
        return os.path.join(build_dir(), name if self.name == DEFAULT else f"{name}-{self.name}")


class X86(Arch):
    """The board "q35".

    Not "pc": its _PRT is a loop of 128 turns, which a kernel with KASAN takes ten seconds for
    under emulation, once for each device.
    """

    name, host = "x86_64", "x86_64"
    emulator = "qemu-system-x86_64"
    image, image_is = "arch/x86/boot/bzImage", "x86_64 (bzImage)"
    machine = ("q35", "vmport=off", "smbus=off", "sata=off")
    cpu = "max"
    words = ("console=ttyS0", "earlyprintk=ttyS0", "unknown_nmi_panic=1", "reboot=t")
    # An emulated guest gets little done in much time on a loaded host.  The TSC is calibrated
    # wrongly then, so that the guest's seconds are not seconds; and the kernel's test whether
    # the timer interrupts fails, and it panics.  Linux 7.3 compares the TSCs of two CPUs in an
    # interrupt; a boot hung there once, the interrupted CPU being in stop_machine().
    loaded = ("clocksource=hpet", "tsc=nowatchdog", "no_timer_check")
    # Linux 6.12 forgets for a moment that it has five levels of page tables, when
    # identify_cpu() clears all features.  An interrupt just then is a wild access to
    # KASAN: once in some hundred boots under emulation.
    kasan = ("no5lvl",)

    # With this much RAM the board keeps only the second figure below 4 GiB
    # (QEMU's hw/i386/pc_q35.c: lowmem).
    LOWMEM = 0xB0000000
    LOWMEM_SPLIT = 0x80000000

    def is_image(self, head):
        # Documentation/arch/x86/boot.rst
        return head[0x1FE:0x200] == b"\x55\xaa" and head[0x202:0x206] == b"HdrS"

    def device_memory(self, memory):
        return round_up(4 * GIB + (memory - self.LOWMEM_SPLIT if memory >= self.LOWMEM else 0), GIB)


class Arm64(Arch):
    """The board "virt", as told to Linux by a device tree.

    QEMU 7.2 has no virtio-pmem for it, and memory in slots only if it starts firmware, which is
    to tell the kernel by ACPI what is in them.  Here the firmware is three instructions that start
    the kernel as QEMU would, and the device tree is the board's with what the kernel is to know.
    (The memory of a NUMA node can be an image, too.  But any device tree then calls it RAM,
    and a carve-out in such a node is refused, whatever `mem=` says.)
    """

    name, host = "arm64", "aarch64"
    ram = GIB
    pages = ("4k", "16k", "64k")
    emulator = "qemu-system-aarch64"
    image, image_is = "arch/arm64/boot/Image", "arm64 (Image)"
    machine = ("virt", "gic-version=3")
    # "max" has pointer authentication and 52-bit addresses, which are slow under emulation.
    cpu = "cortex-a76"
    words = ("console=ttyAMA0", "earlycon")

    # QEMU puts the device tree at the start of RAM; of kernel and initramfs see
    # Documentation/arch/arm64/booting.rst.
    KERNEL = GIB + 2 * MIB
    INITRD = 128 * MIB           # behind the start of RAM, if there is as much

    def is_image(self, head):
        return head[56:60] == b"ARM\x64"

    def device_memory(self, memory):
        return round_up(self.ram + memory, GIB)

    def boot(self, guest, words, initrd, keep):
        size = os.fstat(initrd).st_size
        start = self.ram + min(guest.memory // 2 // MIB * MIB, self.INITRD)
        chosen = (f"/ {{ chosen {{ bootargs = {json.dumps(words)}; linux,initrd-start = /bits/ 64 <{start:#x}>; "
                  f"linux,initrd-end = /bits/ 64 <{start + size:#x}>; }}; }};\n")
        nodes = "".join(device.devicetree() for device in guest.devices)
        own = guest.devicetree.replace("/dts-v1/;", "", 1)
        tree = compile_devicetree(self._board(guest) + chosen + nodes + own, "device tree")

        def load(file, address):
            return ["-device", json.dumps({"driver": "loader", "file": file, "addr": address, "force-raw": True})]

        return ["-bios", keep("firmware", FIRMWARE), "-dtb", keep("devicetree", tree),
                *load(guest.kernel, self.KERNEL), *load(f"/dev/fd/{initrd}", start)]

    def _board(self, guest):
        """Source of the device tree that QEMU makes for the machine."""
        return _board_tree(find_qemu(self.emulator), ",".join(self.machine), guest.cpu or self.cpu, str(guest.cpus),
                           *self.memory(guest))


class Powerpc64(Arch):
    """The board "pseries", big endian, without SLOF: QEMU answers as firmware itself (x-vof).

    What is in a slot for memory is RAM to its kernels, since a partition's memory is plugged in
    that way (ibm,dynamic-reconfiguration-memory in the device tree). `mem=` ends RAM below it.
    """

    name, host = "powerpc64", "ppc64"
    ram_unit = PSERIES_ALIGN
    pages = ("64k", "4k")
    emulator = "qemu-system-ppc64"
    image, image_is = "vmlinux", "powerpc64 (vmlinux, big endian)"
    # What emulation cannot mitigate, it would warn of.
    machine = ("pseries", "x-vof=on", "cap-cfpc=broken", "cap-sbbc=broken", "cap-ibs=broken", "cap-ccf-assist=off")
    cpu = "power9"
    words = ("console=hvc0",)
    # hvc0 is the console, a virtual terminal of the hypervisor
    tty = "/dev/hvc1"

    def is_image(self, head):
        # ELF, 64 bits, big endian, EM_PPC64
        return head[:6] == b"\x7fELF\x02\x02" and head[18:20] == b"\x00\x15"

    def device_memory(self, memory):
        return round_up(memory, GIB)

    def boot(self, guest, words, initrd, keep):
        if any(device.is_memory for device in guest.devices):
            words += f" mem={guest.memory // MIB}M"
        # SLOF would format the NVRAM, of which Linux says otherwise that it is corrupted.
        return [*super().boot(guest, words, initrd, keep), "-prom-env", "formatted=yes"]


# movz x0, #0x4000, lsl #16 (the device tree); movz x4, #0x4020, lsl #16 (the kernel); br x4
FIRMWARE = struct.pack("<3I", 0xD2A80000, 0xD2A80404, 0xD61F0080)


@functools.lru_cache(maxsize=None)
def _board_tree(emulator, machine, cpu, cpus, *memory):
    """What QEMU says of a machine with firmware, as source."""
    with tempfile.TemporaryDirectory() as folder:
        firmware, tree = os.path.join(folder, "firmware"), os.path.join(folder, "tree")
        with open(firmware, "wb") as stream:
            stream.write(FIRMWARE)
        done = subprocess.run([emulator, "-nodefaults", "-no-user-config", "-display", "none", "-bios", firmware,
                               "-machine", f"{machine},dumpdtb={tree}", "-cpu", cpu, "-smp", cpus, *memory],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode:
            raise HarnessError("QEMU says nothing of its machine: " + (done.stderr.strip().splitlines() or ["?"])[-1])
        return run_dtc("dtb", "dts", tree).decode()


ARCHS = {arch.name: arch for arch in (X86(), Arm64(), Powerpc64())}
DEFAULT = "x86_64"


def arch_named(name=None):
    """The architecture of that name, or else of $ARCH. Raises HarnessError."""
    name = name or os.environ.get("ARCH") or DEFAULT
    if name not in ARCHS:
        raise HarnessError(f"ARCH={name} is not one of: {', '.join(ARCHS)}")
    return ARCHS[name]

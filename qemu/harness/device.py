# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of devices that a guest can have, one class each.

A class holds everything about its kind: its syntax on the command line, QEMU's
arguments, the kernel parameters, the line for init, the command that mounts an image,
and its line in the help and in Documentation/harness.md.  A new kind
is one more class here, in the list at the end.
"""
import json
import os
import re
import stat

from .host import MIB, HarnessError, memory_file, parse_size

# The kernel parameter that makes DAX devices of ranges of memory.  The module, the
# driver in sysfs and CONFIG_DEV_DAX_... are called after it.
CARVEOUT_PARAMETER = "dax_carveout"
CARVEOUT_CONFIG = "DEV_DAX_" + CARVEOUT_PARAMETER.removeprefix("dax_").upper()

# The kernel maps memory of a device in subsections of this size
# (memremap_compat_align() in mm/memremap.c); elsewhere a namespace is refused.
MEMORY_ALIGN = 2 * MIB
# SPAPR_MEMORY_BLOCK_SIZE in QEMU's include/hw/ppc/spapr.h: RAM and slots of the machine "pseries"
PSERIES_ALIGN = 256 * MIB

class Device:
    """One device of a guest.

    spec     as it was written: KIND:IMAGE[,OPTION=VALUE...]
    path     image file; None for a scratch disk
    size     bytes
    name     KIND and a number per kind: the guest has it as /dev/harness/NAME
    options  what followed the image, as a dict
    """

    kind = None             # the word before the colon
    usage = None            # what follows it
    what = None             # what the guest gets, for the help
    notes = ""              # what else to know, for the documentation
    align = 512             # bytes: sizes of its images are multiples of it
    config = ()             # options of the kernel without which it is of no use
    allowed = frozenset()   # options that it takes
    archs = ("x86_64", "arm64", "powerpc64")    # architectures whose machine has it
    machine = ()            # words of QEMU's -machine
    is_memory = False       # memory of the guest, rather than a disk
    by_dax = False          # an image on it is mounted so that it is read by DAX
    # How the guest mounts the image on $node on $dir: a command of a shell.
    mount = "mount -t erofs -o ro $node $dir"
    fd = None               # of a file that QEMU inherits

    def __init__(self, spec, rest):
        self.spec, self.path, self.size, self.name, self.options = spec, None, None, None, {}
        # A comma may be in a file's name: only what looks like an option is one.
        while match := re.fullmatch(r"(.+),([a-z]+)=([^,]*)", rest):
            if match[2] not in self.allowed:
                raise self.error(f"{self.kind} has no option '{match[2]}'"
                                 + (f", only {', '.join(sorted(self.allowed))}" if self.allowed else ""))
            rest, self.options[match[2]] = match[1], parse_size(match[3], f"device '{spec}': {match[2]}")
            if not self.options[match[2]]:
                raise self.error(f"{match[2]} must be above 0")
        self.take(rest)

    def error(self, text):
        """A HarnessError that names the device."""
        return HarnessError(f"device '{self.spec}': {text}")

    def take(self, rest):
        """Take what stands between kind and options: set `path` and `size`."""
        self.path = rest
        self.check_image(self.align, "512 bytes", "512")

    def check_image(self, align, unit, short):
        """Set `size`; raise HarnessError if the image cannot be a device."""
        try:
            with open(self.path, "rb") as stream:
                mode = os.fstat(stream.fileno()).st_mode
                self.size = stream.seek(0, os.SEEK_END)
        except OSError as error:
            raise self.error(f"{self.path or 'an image'}: {error.strerror}") from None
        if not (stat.S_ISREG(mode) or (stat.S_ISBLK(mode) and not self.is_memory)):
            raise self.error(f"{self.path} is no regular file")
        if not self.size or self.size % align:
            raise self.error(f"the image has {self.size} bytes, and a {self.kind} device needs a multiple of {unit}; "
                             f"'truncate -s %{short} '{self.path}'' pads it")

    def open(self, stack):
        """Open what QEMU is to inherit; `stack` closes it. Returns the descriptors."""
        del stack
        return []

    def qemu(self):
        """QEMU's arguments."""
        raise NotImplementedError

    def kernel_words(self):
        """Kernel parameters that describe it."""
        return []

    def ranges(self):
        """NAME:SIZE@ADDRESS of what CARVEOUT_PARAMETER names."""
        return []

    def devicetree(self):
        """Source of the nodes that tell the kernel of it."""
        return ""

    def line(self):
        """Its line of /harness/devices, by which init finds it (qemu/guest/init-devices.c)."""
        raise NotImplementedError


class MemoryDevice(Device):
    """Memory of the guest beside its RAM, which is the page cache of an image.

    address  guest-physical start (set when the guest is laid out)
    align    of its start, too
    """

    archs = ("x86_64",)
    align = MEMORY_ALIGN
    is_memory = True
    address = None

    def take(self, rest):
        self.path = rest
        self.check_image(self.align, f"{self.align // MIB} MiB", f"{self.align // MIB}M")

    def front_end(self):
        """QEMU's device in front of the memory, as a dict."""
        raise NotImplementedError

    def qemu(self):
        backend = {"qom-type": "memory-backend-file", "id": "mem-" + self.name, "mem-path": self.path,
                   "size": self.size, "share": True, "readonly": True}
        return ["-object", json.dumps(backend),
                "-device", json.dumps({**self.front_end(), "id": self.name, "memdev": "mem-" + self.name})]

    def line(self):
        return f"{self.name} memory {self.address:#x} {self.size}"


class Pmem(MemoryDevice):
    """virtio-pmem."""

    kind, usage = "pmem", "IMG"
    what = "virtio-pmem: a block device with DAX"
    config = ("VIRTIO_PMEM", "FS_DAX")
    by_dax = True
    mount = "mount -t erofs -o ro,dax=always $node $dir"

    def front_end(self):
        return {"driver": "virtio-pmem-pci", "memaddr": self.address}


class PmemRegion(Pmem):
    """The same where QEMU has no virtio-pmem: memory that the device tree describes."""

    what = "memory in a `pmem-region` node of the device tree: a block device with DAX"
    config = ("OF_PMEM", "FS_DAX")
    archs = ("arm64",)

    def front_end(self):
        return {"driver": "pc-dimm", "addr": self.address}

    def devicetree(self):
        return (f"/ {{ pmem@{self.address:x} {{ compatible = \"pmem-region\"; "
                f"reg = /bits/ 64 <{self.address:#x} {self.size:#x}>; }}; }};\n")


class FixedMemory(MemoryDevice):
    """Memory at a fixed physical address outside of RAM, in a slot for memory."""

    usage = "IMG[@ADDR]"

    def take(self, rest):
        if match := re.fullmatch(r"(.+)@([^@/]+)", rest):
            rest = match[1]
            try:
                self.address = int(match[2], 0)
            except ValueError:
                raise self.error(f"'{match[2]}' is no address; write a number such as 0x140000000") from None
        super().take(rest)

    def front_end(self):
        return {"driver": "pc-dimm", "addr": self.address}


class Ramdax(FixedMemory):
    """Memory that CARVEOUT_PARAMETER makes a DAX device."""

    kind, usage = "ramdax", "IMG[@ADDR][,size=N]"
    what = f"a carve-out that `{CARVEOUT_PARAMETER}=` names: a DAX device, `/dev/daxN.M`, and no block device"
    notes = "`size=` names less than all of it; the range is called as the device, `ramdax0` ..."
    config = (CARVEOUT_CONFIG, "DEV_DAX_FSDEV", "EROFS_FS_RAMDAX")
    archs = ("x86_64", "arm64")
    allowed = frozenset({"size"})
    by_dax = True
    mount = "mount -t erofs $node $dir"

    def ranges(self):
        return [f"{self.name}:{self.options.get('size', self.size):#x}@{self.address:#x}"]

    def line(self):
        return f"{self.name} range {self.address:#x} {self.size} {CARVEOUT_PARAMETER}"


class PseriesRamdax(Ramdax):
    """The same in a slot of a machine whose slots are large."""

    notes = "`size=` as above; image and address are multiples of 256 MiB"
    archs = ("powerpc64",)
    align = PSERIES_ALIGN


class Nvdimm(MemoryDevice):
    """An NVDIMM without labels, which init takes from nd_pmem."""

    kind, usage = "nvdimm", "IMG"
    what = (f"an NVDIMM whose range `{CARVEOUT_PARAMETER}=` names too: a DAX device, `/dev/daxN.M`; "
            "init takes the NVDIMM from `nd_pmem`, if that was first")
    notes = ("QEMU demands that a read-only NVDIMM is unarmed; it has no labels, so `nd_pmem` gives it no struct "
             "pages, see `take_nvdimm` in `qemu/guest/init-devices.c`")
    config = ("ACPI_NFIT",) + Ramdax.config
    machine = ("nvdimm=on",)
    by_dax = True
    mount = Ramdax.mount
    ranges = Ramdax.ranges
    line = Ramdax.line

    def front_end(self):
        return {"driver": "nvdimm", "addr": self.address, "unarmed": True}


class Carveout(FixedMemory):
    """Memory that memmap= makes a pmem device."""

    kind = "carveout"
    what = "a carve-out that `memmap=SIZE!ADDR` names: a block device with DAX"
    config = ("X86_PMEM_LEGACY", "FS_DAX")
    by_dax = True
    mount = Pmem.mount

    def kernel_words(self):
        return [f"memmap={self.size:#x}!{self.address:#x}"]


class Hmem(FixedMemory):
    """Memory that is called specific-purpose, as firmware does it with HBM and CXL memory.

    Only EFI can say that by itself; memmap= says it in its place, with E820_TYPE_SOFT_RESERVED of
    arch/x86/include/asm/e820/types.h.
    """

    kind = "hmem"
    what = ("memory that the kernel is told to be specific-purpose (`memmap=SIZE%ADDR+0xefffffff`), as firmware calls CXL "
            "memory: a DAX device, `/dev/daxN.M`, of the driver `hmem`")
    notes = "the driver is told to leave it to the administrator (`dax_hmem.region_idle=1`), who here is init"
    config = ("DEV_DAX_HMEM", "DEV_DAX_FSDEV", "EROFS_FS_RAMDAX")
    by_dax = True
    mount = Ramdax.mount

    def kernel_words(self):
        return [f"memmap={self.size:#x}%{self.address:#x}+0xefffffff", "dax_hmem.region_idle=1"]

    def line(self):
        return f"{self.name} hmem {self.address:#x} {self.size}"


class Reserved(FixedMemory):
    """Memory of which the kernel is not told."""

    kind = "reserved"
    what = "a carve-out that the harness does not name to the kernel"
    notes = "for a reserved-memory node of `--devicetree`, or a part of it by `--range`"
    archs = ("x86_64", "arm64")
    mount = None

    def line(self):
        return f"{self.name} none {self.address:#x} {self.size}"


class Blk(Device):
    """A read-only virtio-blk disk."""

    kind, usage = "blk", "IMG[,bps=N][,iops=N]"
    what = "virtio-blk, read-only, throttled if asked for"
    config = ("VIRTIO_BLK",)
    allowed = frozenset({"bps", "iops"})
    read_only = True
    driver = "virtio-blk-pci"

    def file_node(self):
        """The block node of the file, as a dict."""
        is_disk = stat.S_ISBLK(os.stat(self.path).st_mode)
        return {"driver": "host_device" if is_disk else "file", "filename": self.path}

    def qemu(self):
        node = "file-" + self.name
        args = ["-blockdev", json.dumps({**self.file_node(), "node-name": node, "read-only": self.read_only})]
        if self.options:
            limits = {key + "-total": value for key, value in self.options.items()}
            args += ["-object", json.dumps({"qom-type": "throttle-group", "id": "tg-" + self.name, "limits": limits}),
                     "-blockdev", json.dumps({"driver": "throttle", "node-name": "slow-" + self.name,
                                              "throttle-group": "tg-" + self.name, "file": node,
                                              "read-only": self.read_only})]
            node = "slow-" + self.name
        return args + ["-device", json.dumps({"driver": self.driver, "id": self.name, "drive": node,
                                              "serial": self.name})]

    def line(self):
        return f"{self.name} serial {self.name} {self.size}"


class Nvme(Blk):
    """A read-only NVMe disk."""

    kind, usage = "nvme", "IMG[,bps=N][,iops=N]"
    what = "NVMe, read-only, throttled if asked for"
    config = ("BLK_DEV_NVME",)
    archs = ("x86_64",)
    driver = "nvme"


class Disk(Blk):
    """An empty scratch disk."""

    kind, usage = "disk", "SIZE[,bps=N][,iops=N]"
    what = "virtio-blk, an empty scratch disk"
    notes = "lives in the host's memory, gone after the run"
    read_only = False
    mount = None

    def take(self, rest):
        self.size = parse_size(rest, f"device '{self.spec}': size")
        if not self.size or self.size % 512:
            raise self.error("the size must be a multiple of 512 bytes, above 0")

    def open(self, stack):
        self.fd = memory_file("disk")
        stack.callback(os.close, self.fd)
        os.ftruncate(self.fd, self.size)
        return [self.fd]

    def file_node(self):
        return {"driver": "file", "filename": f"/dev/fd/{self.fd}"}


CLASSES = (Pmem, PmemRegion, Ramdax, PseriesRamdax, Nvdimm, Carveout, Hmem, Reserved, Blk, Nvme, Disk)
# Of a kind that architectures have each in its way, the first.
KINDS = {c.kind: c for c in reversed(CLASSES)}
KINDS = {kind: KINDS[kind] for kind in dict.fromkeys(c.kind for c in CLASSES)}
# Those from which an image is read without a copy in the guest.
DAX_KINDS = [c.kind for c in KINDS.values() if c.by_dax]


def kinds_of(arch):
    """The classes that the machine of an architecture has, by kind."""
    return {cls.kind: cls for cls in CLASSES if arch in cls.archs}


def make_device(spec, arch):
    """The device that `spec` describes, for a guest of this architecture (its name). Raises HarnessError."""
    kind, colon, rest = spec.partition(":")
    if not colon or kind not in KINDS:
        raise HarnessError(f"device '{spec}': write KIND:IMAGE, where KIND is one of "
                           f"{', '.join(k for k in KINDS if k != Disk.kind)}, or disk:SIZE")
    kinds = kinds_of(arch)
    if kind not in kinds:
        raise HarnessError(f"device '{spec}': the machine of {arch} has no {kind}; it has {', '.join(kinds)}")
    return kinds[kind](spec, rest)


def name_devices(devices):
    """Name the devices of a guest: each kind is counted by itself."""
    count = {}
    for device in devices:
        device.name = f"{device.kind}{count.setdefault(device.kind, 0)}"
        count[device.kind] += 1


# -- what people read

def help_text():
    """The kinds for a command's help."""
    lines = ["devices (any mix, each may be given again):"]
    for cls in KINDS.values():
        words, line = cls.what.replace("`", "").split(), "     "
        lines.append(f"  {cls.kind}:{cls.usage}")
        for word in words:
            if len(line) + len(word) >= 78:
                lines.append(line)
                line = "     "
            line += " " + word
        lines.append(line)
    return "\n".join(lines + ["The guest has them as /dev/harness/pmem0, /dev/harness/blk0, ..."])


def markdown_table():
    """The table of Documentation/harness.md."""
    rows = ["| `--device` | what the guest gets | guests of | needs | the guest mounts an image by | notes |",
            "| --- | --- | --- | --- | --- | --- |"]
    for cls in CLASSES:
        needs = ", ".join(f"`CONFIG_{name}`" for name in cls.config)
        mount = f"`{cls.mount}`" if cls.mount else "-"
        rows.append(f"| `{cls.kind}:{cls.usage}` | {cls.what} | {', '.join(cls.archs)} | {needs} | {mount} | {cls.notes} |")
    return "\n".join(row.replace("|  |", "| |") for row in rows)

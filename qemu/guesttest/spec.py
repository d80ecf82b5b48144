# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest test declares, and where tests are."""
import difflib
import glob
import os
import re
import shlex

import harness
from harness import HarnessError

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TESTS = os.path.join(TOP, "qemu", "tests")
RECIPES = os.path.join(TOP, "qemu", "images", "recipes")
FLAVOURS = ("fast", "debug", "modules")

SINGLE = {"test", "series", "memory", "cpus", "guests", "timeout", "flavours", "append", "devicetree", "stress", "clock"}
MANY = {"config", "image", "device", "file", "kselftest", "range", "tool"}


class Spec:
    """What a test declares.

    name, group, path, description; the group is the name of the folder
    config     options to be set, "!NAME" for options not to be set
    series     the series, or the patch of one, that the kernel's base must have, or None
    images     {name: [recipe, mkfs option...]}
    devices    device specs that name images; the test needs what their kinds need of a kernel
    ranges     NAME:SIZE@ADDRESS of further ranges to be DAX devices
    files      paths below the top of the project, to be put into /root
    kselftests  programs of tools/testing/selftests, to be put into /root
    tools       programs of erofs-utils, to be put into /root
    devicetree  path of a source for the guest, or None
    icount     is the guest's clock one of instructions?
    memory, cpus, guests, timeout, flavours, append, stress   as in Documentation/tests.md
    """

    def __init__(self, path):
        self.path = path
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.group = os.path.basename(os.path.dirname(path))
        single, many = self._values()
        if "test" not in single:
            raise HarnessError(f"{os.path.relpath(path, TOP)}: its first comment has no line "
                               "'test: what it checks'")
        self.description = single["test"][1]
        self.series = single["series"][1] if "series" in single else None
        self.config = [word for _, value in many["config"] for word in value.split()]
        self.files = [value for _, value in many["file"]]
        self.kselftests = [value for _, value in many["kselftest"]]
        self.tools = [value for _, value in many["tool"]]
        self.ranges = [value for _, value in many["range"]]
        self.append = single.get("append", ("", ""))[1]
        self.devicetree = os.path.join(TOP, single["devicetree"][1]) if "devicetree" in single else None
        self.memory = harness.parse_size(single.get("memory", ("", "256M"))[1], f"{self.name}: memory")
        self.cpus = self._number(single, "cpus", 1)
        self.guests = self._number(single, "guests", 1)
        self.timeout = self._number(single, "timeout", 60)
        self.stress = self._number(single, "stress", 1) if "stress" in single else 0
        self.flavours = single.get("flavours", ("", " ".join(FLAVOURS)))[1].split()
        if not self.flavours or set(self.flavours) - set(FLAVOURS):
            raise HarnessError(f"{single['flavours'][0]}: flavours are {', '.join(FLAVOURS)}")
        where, clock = single.get("clock", ("", "real"))
        if clock not in ("real", "instructions"):
            raise HarnessError(f"{where}: clock is real or instructions")
        self.icount = clock == "instructions"
        self.images = dict(self._image(*line) for line in many["image"])
        self.devices = [self._device(*line) for line in many["device"]]

    def _values(self):
        """The lines of the first comment: ({key: (where, value)}, {key: [(where, value)...]})."""
        single, many = {}, {key: [] for key in MANY}
        for number, key, value in self._head():
            where = f"{os.path.relpath(self.path, TOP)}:{number}"
            if key in MANY:
                many[key].append((where, value))
            elif key in SINGLE and key not in single:
                single[key] = (where, value)
            else:
                raise HarnessError(f"{where}: '{key}:' is " + ("given twice" if key in SINGLE else
                                   f"no key of a test; keys are {', '.join(sorted(SINGLE | MANY))}"))
        return single, many

    @staticmethod
    def _image(where, value):
        """An image line: (name, [recipe, option...])."""
        name, *recipe = shlex.split(value)
        if not recipe:
            raise HarnessError(f"{where}: write 'image: NAME RECIPE [MKFS-OPTION...]'")
        if not os.access(os.path.join(RECIPES, recipe[0]), os.X_OK):
            raise HarnessError(f"{where}: there is no recipe qemu/images/recipes/{recipe[0]}; "
                               f"there are: {', '.join(sorted(os.listdir(RECIPES)))}")
        return name, recipe

    def _device(self, where, value):
        """A device line."""
        kind, _, rest = value.partition(":")
        if kind not in harness.KINDS:
            raise HarnessError(f"{where}: there is no device '{kind}'; kinds are {', '.join(harness.KINDS)}")
        image = re.split("[@,]", rest, maxsplit=1)[0]
        if kind != "disk" and image.partition(".")[0] not in self.images:
            raise HarnessError(f"{where}: no 'image:' line makes '{image}'")
        return value

    def missing_series(self, base):
        """Why a kernel of this base cannot run the test, or None."""
        if not self.series or glob.glob(os.path.join(TOP, "patches", base, self.series)):
            return None
        return f"{base} has no series {self.series}"

    def missing_machine(self, arch):
        """Why a guest of this architecture cannot run the test, or None."""
        for kind in [device.partition(":")[0] for device in self.devices] + ["ramdax"] * bool(self.ranges):
            if kind not in harness.kinds_of(arch.name):
                return f"the machine of {arch.name} has no {kind}"
        return None

    def missing_config(self, config, arch):
        """Why a kernel of this architecture with these options cannot run the test, or None."""
        kinds = [device.partition(":")[0] for device in self.devices] + ["ramdax"] * bool(self.ranges)
        needs = [name for kind in kinds for name in harness.kinds_of(arch.name)[kind].config]
        for word in self.config + needs:
            name = word.lstrip("!").removeprefix("CONFIG_")
            there = config.get(name, "n") != "n"
            if there == word.startswith("!"):
                return f"the kernel has CONFIG_{name}" if there else f"the kernel has no CONFIG_{name}"
        return None

    def _head(self):
        """Yield (line number, key, value) of the first comment."""
        in_comment = False
        with open(self.path, encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                text = line.strip()
                if self.path.endswith(".c"):
                    if text.startswith("//"):
                        continue
                    in_comment |= text.startswith("/*")
                    text = re.sub(r"^(/\*+|\*/|\*)\s?", "", text)
                    ends = "*/" in line
                    text = text.replace("*/", "").strip()
                else:
                    in_comment, ends = text.startswith("#"), False
                    text = text.lstrip("#! ")
                if not in_comment:
                    return
                if match := re.fullmatch(r"([a-z]+):\s+(.*)", text):
                    yield number, match[1], match[2]
                if ends:
                    return

    def _number(self, values, key, default):
        where, text = values.get(key, ("", str(default)))
        if not re.fullmatch("[1-9][0-9]{0,4}", text):
            raise HarnessError(f"{where}: {key} is a whole number above 0")
        return int(text)


def test_groups():
    """Names of the groups of tests: folders of qemu/tests."""
    return sorted(entry.name for entry in os.scandir(TESTS) if entry.is_dir())


def find(names):
    """Specs of the tests and groups named, or of all. Raises HarnessError."""
    there, members = {}, {}
    for group in test_groups():
        for file in sorted(os.listdir(os.path.join(TESTS, group))):
            stem, ext = os.path.splitext(file)
            if ext not in (".c", ".sh"):
                continue
            path = os.path.join(group, file)
            if stem in there:
                raise HarnessError(f"there are two tests {stem}: {there[stem]} and {path}")
            there[stem] = path
            members.setdefault(group, []).append(stem)
    wanted = []
    for name in names:
        if name not in there and name not in members:
            near = difflib.get_close_matches(name, [*there, *members], 3)
            raise HarnessError(f"there is no guest test '{name}'" + f" (but {', '.join(near)})" * bool(near) +
                               "; 'qemu/vm test --list' shows all, 'make new-test NAME=GROUP/NAME' makes one")
        wanted += members.get(name, [name])
    return [Spec(os.path.join(TESTS, there[name])) for name in (wanted or there)]

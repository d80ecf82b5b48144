# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest tests: what each declares, making its images, running it, judging its KTAP.

A test is qemu/tests/NAME.sh (busybox sh) or qemu/tests/NAME.c (built as a static
program to build/guest/tests/NAME).  Its first comment declares what it needs, in
lines "KEY: VALUE"; Documentation/tests.md lists the keys.
"""
import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import harness
from harness import HarnessError

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TESTS = os.path.join(TOP, "qemu", "tests")
IMAGES = os.path.join(TESTS, "images")
FLAVOURS = ("fast", "debug")
# What the checkers of a debug kernel cost, measured as boot time and as the
# memory that is gone before the first program starts.
DEBUG_TIME, DEBUG_MEMORY = 4, 2
# Linux 6.12 forgets for a moment that it has five levels of page tables, when
# identify_cpu() clears all features.  An interrupt just then is a wild access to
# KASAN: once in some hundred boots under emulation.
DEBUG_APPEND = " no5lvl"

SINGLE = {"test", "memory", "cpus", "guests", "timeout", "flavours", "append", "devicetree", "stress"}
MANY = {"config", "image", "device", "file", "kselftest"}


class Spec:
    """What a test declares.

    name, path, description
    config     options to be set, "!NAME" for options not to be set
    images     {name: [recipe, mkfs option...]}
    devices    device specs that name images
    files      paths below the top of the project, to be put into /root
    kselftests  programs of tools/testing/selftests, to be put into /root
    devicetree  path of a source for the guest, or None
    memory, cpus, guests, timeout, flavours, append, stress   as in Documentation/tests.md
    """

    def __init__(self, path):
        self.path = path
        self.name = os.path.splitext(os.path.basename(path))[0]
        values = {key: [] for key in MANY}
        for number, key, value in self._head():
            where = f"{os.path.relpath(path, TOP)}:{number}"
            if key in MANY:
                values[key].append((where, value))
            elif key in SINGLE and key not in values:
                values[key] = (where, value)
            else:
                raise HarnessError(f"{where}: '{key}:' is " + ("given twice" if key in SINGLE else
                                   f"no key of a test; keys are {', '.join(sorted(SINGLE | MANY))}"))
        if "test" not in values:
            raise HarnessError(f"{os.path.relpath(path, TOP)}: its first comment has no line "
                               "'test: what it checks'")
        self.description = values["test"][1]
        self.config = [word for _, value in values["config"] for word in value.split()]
        self.files = [value for _, value in values["file"]]
        self.kselftests = [value for _, value in values["kselftest"]]
        self.append = values.get("append", ("", ""))[1]
        self.devicetree = os.path.join(TOP, values["devicetree"][1]) if "devicetree" in values else None
        self.memory = harness.parse_size(values.get("memory", ("", "256M"))[1], f"{self.name}: memory")
        self.cpus = self._number(values, "cpus", 1)
        self.guests = self._number(values, "guests", 1)
        self.timeout = self._number(values, "timeout", 60)
        self.stress = self._number(values, "stress", 1) if "stress" in values else 0
        self.flavours = values.get("flavours", ("", "fast debug"))[1].split()
        if not self.flavours or set(self.flavours) - set(FLAVOURS):
            raise HarnessError(f"{values['flavours'][0]}: flavours are {' and '.join(FLAVOURS)}")
        self.images = {}
        for where, value in values["image"]:
            name, *recipe = shlex.split(value)
            if not recipe:
                raise HarnessError(f"{where}: write 'image: NAME RECIPE [MKFS-OPTION...]'")
            if not os.access(os.path.join(IMAGES, recipe[0]), os.X_OK):
                raise HarnessError(f"{where}: there is no recipe qemu/tests/images/{recipe[0]}; "
                                   f"there are: {', '.join(sorted(os.listdir(IMAGES)))}")
            self.images[name] = recipe
        self.devices = []
        for where, value in values["device"]:
            kind, _, rest = value.partition(":")
            image = re.split("[@,]", rest, maxsplit=1)[0]
            if kind != "disk" and image.partition(".")[0] not in self.images:
                raise HarnessError(f"{where}: no 'image:' line makes '{image}'")
            self.devices.append(value)

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


def find(names):
    """Specs of the tests named, or of all. Raises HarnessError."""
    there = {}
    for file in sorted(os.listdir(TESTS)):
        stem, ext = os.path.splitext(file)
        if ext in (".c", ".sh") and stem != "TEMPLATE":
            if stem in there:
                raise HarnessError(f"there are two tests {stem}: {there[stem]} and {file}")
            there[stem] = file
    for name in names:
        if name not in there:
            raise HarnessError(f"there is no guest test '{name}'; there are: {', '.join(there)}. "
                               f"'make new-test NAME={name}' makes it")
    return [Spec(os.path.join(TESTS, there[name])) for name in (names or there)]


def missing_config(spec, config):
    """Why this kernel cannot run the test, or None."""
    for word in spec.config:
        name = word.lstrip("!").removeprefix("CONFIG_")
        there = config.get(name, "n") != "n"
        if there == word.startswith("!"):
            return f"the kernel has CONFIG_{name}" if there else f"the kernel has no CONFIG_{name}"
    return None


def mkfs():
    """The mkfs.erofs to use: $MKFS, the project's own, or the system's."""
    own = os.path.join(harness.build_dir(), "utils", "mkfs", "mkfs.erofs")
    path = os.environ.get("MKFS") or (own if os.path.exists(own) else "mkfs.erofs")
    found = shutil.which(path)
    if not found:
        raise HarnessError(f"{path} is not there; 'make utils' builds it")
    return found


def make_image(recipe, *options):
    """Make an image, or take it from the cache in build/guest/images.

    The recipe is called as "RECIPE OUT DIR OPTION...": it fills the empty folder
    DIR and writes the image OUT with $MKFS and the options; further files are
    named OUT.SUFFIX.  All are padded to 2 MiB.  Returns OUT.  Raises HarnessError
    with what the recipe printed last.
    """
    script = os.path.join(IMAGES, recipe)
    tool = mkfs()
    digest = hashlib.sha256(repr(options).encode())
    for path in (script, tool):
        with open(path, "rb") as stream:
            digest.update(hashlib.sha256(stream.read()).digest())
    folder = os.path.join(harness.build_dir(), "guest", "images")
    os.makedirs(folder, exist_ok=True)
    final = os.path.join(folder, f"{recipe}-{digest.hexdigest()[:16]}")
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(final + "/image"):
            return final + "/image"
        work = tempfile.mkdtemp(prefix="tmp.", dir=folder)
        try:
            os.mkdir(work + "/tree")
            os.mkdir(work + "/out")
            done = subprocess.run([script, work + "/out/image", work + "/tree", *options],
                                  env=dict(os.environ, MKFS=tool), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if done.returncode or not os.path.exists(work + "/out/image"):
                text = done.stdout.decode("utf-8", "replace").strip().splitlines()[-5:]
                raise HarnessError(f"qemu/tests/images/{recipe} ended with status {done.returncode} and made "
                                   + ("an image" if os.path.exists(work + "/out/image") else "no image")
                                   + "".join("\n  | " + line for line in text))
            for file in os.scandir(work + "/out"):
                os.truncate(file.path, harness.round_up(max(file.stat().st_size, 1), harness.MEMORY_ALIGN))
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(final)
            os.rename(work + "/out", final)
        finally:
            subprocess.run(["chmod", "-R", "u+rwX", work], check=False)
            shutil.rmtree(work)
    return final + "/image"


def judge(lines):
    """Judge KTAP: (problem or None, reason why all was skipped or None, failed lines).

    Only the top level counts: a subtest's results are indented, and its parent's
    line sums them up.
    """
    plan, number, skipped, failed = None, 0, [], []
    for line in lines:
        if match := re.match(r"1\.\.([0-9]+)(?:\s+#\s*SKIP\s*(.*))?", line):
            if plan is not None:
                return "it printed two plans", None, failed
            plan = int(match[1])
            if plan == 0:
                return None, match[2] or "nothing to test", failed
        elif line.startswith("Bail out!"):
            return line, None, failed
        elif match := re.match(r"(not )?ok\b\s*([0-9]*)(.*)", line):
            number += 1
            if match[2] and int(match[2]) != number:
                return f"result {number} has number {match[2]}: '{line}'", None, failed
            directive = re.search(r"#\s*(SKIP|TODO)\b\s*(.*)", match[3], re.IGNORECASE)
            if directive and directive[1].upper() == "SKIP":
                skipped.append(directive[2])
            elif match[1] and not directive:
                failed.append(line)
    if plan is None:
        return "it printed no plan (1..N)", None, failed
    if number != plan:
        return f"it printed {number} of {plan} results", None, failed
    if failed:
        return f"{len(failed)} of {plan} results are not ok", None, failed
    return None, skipped[0] if len(skipped) == plan else None, failed


class Result:
    """Outcome of one test: `problem` None is ok; `skip` says why it did not run;
    `known`: it passed before, with the same of everything."""

    def __init__(self, spec, problem=None, skip=None, seconds=0.0, detail=(), known=False):
        self.spec, self.problem, self.skip, self.known = spec, problem, skip, known
        self.seconds, self.detail = seconds, list(detail)


def fingerprint(group):
    """Hex digest of all that the outcome of a test depends on, but luck."""
    qemu = os.stat(harness.find_qemu())
    digest = hashlib.sha256(repr((qemu.st_size, qemu.st_mtime, os.cpu_count())).encode())
    code = [os.path.join(TOP, "qemu", name) for name in ("harness.py", "guesttest.py")]
    for guest in group.guests:
        digest.update(repr((guest.memory, guest.cpus, guest.timeout, guest.append, guest.argv,
                            guest.devicetree, [(d.name, d.size, d.options) for d in guest.devices])).encode())
        digest.update(hashlib.sha256(guest.initramfs()).digest())
        for path in code + [guest.kernel] + [d.path for d in guest.devices if d.path]:
            with open(path, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:32]


class Run:
    """Run tests against one kernel.

    live    print each line of a test as it comes
    known   folder that remembers what passed, see fingerprint(); None runs all
    stress  seconds for stress tests instead of those that they declare
    """

    def __init__(self, kernel, flavour, log_dir, live=False, known=None, stress=None):
        harness.check_kernel(kernel)
        self.kernel, self.flavour, self.log_dir, self.live = kernel, flavour, log_dir, live
        self.known, self.stress = known, stress
        self.config = harness.kernel_config(kernel)

    def group(self, spec):
        """The guests of a test, or the Result that stands already."""
        if self.flavour not in spec.flavours:
            return Result(spec, skip=f"it is for the flavour {spec.flavours[0]}")
        why = missing_config(spec, self.config) if self.config is not None else None
        if why:
            return Result(spec, skip=why)
        try:
            images = {name: make_image(*recipe) for name, recipe in spec.images.items()}
            devices = []
            for device in spec.devices:
                kind, _, rest = device.partition(":")
                if kind != "disk":
                    name = re.split("[.@,]", rest, maxsplit=1)[0]
                    rest = images[name] + rest[len(name):]
                devices.append(f"{kind}:{rest}")
            slow = self.flavour == "debug"
            if spec.path.endswith(".c"):
                program = os.path.join(harness.build_dir(), "guest", "tests", spec.name)
                if not os.path.exists(program):
                    raise HarnessError(f"{program} is not built; 'make guest' builds it")
                argv = ["/harness/run/" + spec.name]
            else:
                program, argv = spec.path, ["sh", f"/harness/run/{spec.name}"]
            files = [(program, "/harness/run/" + spec.name)]
            files += [(os.path.join(TOP, f), "/root/" + os.path.basename(f)) for f in spec.files]
            for name in spec.kselftests:
                built = os.path.join(harness.build_dir(), "guest", "kselftest", name)
                if not os.path.exists(built):
                    raise HarnessError(f"{built} is not built; 'make kselftests' builds it")
                files.append((built, "/root/" + os.path.basename(name)))
            stress = (self.stress or spec.stress) if spec.stress else 0
            guests = [harness.Guest(
                self.kernel, argv, devices, memory=spec.memory * (DEBUG_MEMORY if slow else 1),
                cpus=spec.cpus, files=files, append=spec.append + DEBUG_APPEND * slow,
                devicetree=spec.devicetree,
                env={"STRESS_SECONDS": str(stress)} if stress else {},
                timeout=stress + spec.timeout * (DEBUG_TIME if slow else 1),
                on_output=self._show if self.live else None) for _ in range(spec.guests)]
            group = harness.Group(guests)
            group.spec, group.mark = spec, None
            if self.known:
                group.mark = os.path.join(self.known, "guest-" + fingerprint(group))
                if os.path.exists(group.mark):
                    return Result(spec, known=True)
        except HarnessError as error:
            return Result(spec, problem=str(error))
        return group

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
                # Each failed result with the remarks that stand before it.
                remarks = []
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
                detail += ["| " + line for line in guest.console_tail()]
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


def show_text(result):
    """One test for a person."""
    if result.skip:
        print(f"skip  {result.spec.name}: {result.skip}", flush=True)
    elif result.problem:
        print(f"FAIL  {result.spec.name}: {result.problem}")
        print("".join(f"      {line}\n" for line in result.detail), end="", flush=True)
    else:
        took = "known" if result.known else f"{result.seconds:.1f} s"
        print(f"ok    {result.spec.name} ({took})", flush=True)


def show_tap(result, number):
    """One test as a TAP result."""
    good = "not ok" if result.problem else "ok"
    skip = f" # SKIP {result.skip}" if result.skip else ""
    known = " (known)" * result.known
    print(f"{good} {number} - {result.spec.name}: {result.spec.description}{known}{skip}")
    if result.problem:
        print("".join(f"# {line}\n" for line in [result.problem] + result.detail), end="")
    sys.stdout.flush()


def run(args):
    """vm test: run tests, print TAP or text. Returns the exit status."""
    if args.list:
        specs = find(args.names)
        width = max((len(s.name) for s in specs), default=0)
        for spec in specs:
            print(f"{spec.name:{width}}  {spec.description}")
        return 0
    if args.all == bool(args.names):
        raise HarnessError("name the tests to run, or give --all; --list shows them")
    if args.jobs < 1:
        raise HarnessError("--jobs must be at least 1")
    if args.stress is not None and args.stress < 1:
        raise HarnessError("--stress must be at least 1 second")
    specs = find(args.names)
    live = len(specs) == 1 and not args.tap
    kernel = args.kernel or harness.kernel_of(args.flavour)
    todo = Run(kernel, args.flavour, os.path.join(harness.build_dir(), "log", args.flavour), live, args.known,
               args.stress)
    results = []

    def done(result):
        results.append(result)
        if args.tap:
            show_tap(result, len(results))
        else:
            show_text(result)

    def groups():
        for spec in specs:
            group = todo.group(spec)
            if isinstance(group, Result):
                done(group)
            else:
                yield group

    if args.tap:
        print(f"1..{len(specs)}", flush=True)
    harness.run_groups(groups(), args.jobs, lambda group: done(todo.judge(group)))
    failed = sum(1 for r in results if r.problem)
    skipped = sum(1 for r in results if r.skip)
    if not args.tap:
        print(f"{len(results) - failed - skipped} passed, {failed} failed" + f", {skipped} skipped" * bool(skipped))
    return 1 if failed else 0


def image(args):
    """vm image: make the image of a recipe and print its path."""
    recipes = sorted(os.listdir(IMAGES))
    if args.recipe not in recipes:
        raise HarnessError(f"there is no recipe '{args.recipe}'; there are: {', '.join(recipes)}")
    print(make_image(args.recipe, *args.option))
    return 0


def new_test(args):
    """vm new-test: copy the template."""
    if not re.fullmatch("[a-z0-9][a-z0-9-]*", args.name):
        raise HarnessError(f"'{args.name}' is no name for a test; use small letters, digits and '-'")
    for ext in ("sh", "c"):
        if os.path.exists(os.path.join(TESTS, f"{args.name}.{ext}")):
            raise HarnessError(f"qemu/tests/{args.name}.{ext} is there already")
    path = os.path.join(TESTS, f"{args.name}.{args.language}")
    shutil.copyfile(os.path.join(TESTS, f"TEMPLATE.{args.language}"), path)
    print(f"{os.path.relpath(path)}: write what it checks, then 'make test T={args.name}'")
    return 0


def add_parser(sub):
    """Add "test" to the subcommands of qemu/vm."""
    flavour = os.environ.get("FLAVOUR", "fast")
    p = sub.add_parser("test", help="run guest tests",
                       description="Run guest tests (qemu/tests). Exit status: 0 all passed or were skipped, "
                       "1 a test failed, 2 wrong use.")
    p.add_argument("names", nargs="*", metavar="NAME", help="a test")
    p.add_argument("--all", action="store_true", help="run all tests")
    p.add_argument("--list", action="store_true", help="list tests, run none")
    p.add_argument("--tap", action="store_true", help="print TAP, for prove")
    p.add_argument("--flavour", choices=FLAVOURS, default=flavour, help="kernel flavour (default: %(default)s)")
    p.add_argument("--kernel", metavar="BZIMAGE", default=os.environ.get("KERNEL"),
                   help="kernel to boot (default: $KERNEL, or that of the flavour)")
    p.add_argument("--known", metavar="FOLDER", help="do not run again what passed, by this folder, with the same "
                   "kernel, programs, images and QEMU; remember there what passes")
    p.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), metavar="N",
                   help="tests to run at a time (default: %(default)s)")
    p.add_argument("--stress", type=int, metavar="SECONDS",
                   help="how long stress tests go on (default: what each declares)")
    p.set_defaults(call=run)

    p = sub.add_parser("image", help="make an image by a recipe of the tests, print its path",
                       description="Make an image by a recipe (qemu/tests/images), padded to 2 MiB, and print its "
                       "path. Options of mkfs.erofs follow after '--'.")
    p.add_argument("recipe", help="name of the recipe")
    p.add_argument("option", nargs="*", metavar="-- OPTION", help="for mkfs.erofs")
    p.set_defaults(call=image)

    p = sub.add_parser("new-test", help="make a guest test from the template")
    p.add_argument("name", help="its name")
    p.add_argument("language", nargs="?", choices=("sh", "c"), default="sh", help="default: sh")
    p.set_defaults(call=new_test)

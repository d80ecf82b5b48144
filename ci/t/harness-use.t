#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest harness: wrong use is refused, tests are judged by their rules.

Prints TAP.
"""
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../helpers"))
import cases    # noqa: E402
from cases import KERNEL, TOP, VM, Failed, case, expect, seen    # noqa: E402
import guesttest    # noqa: E402
import harness      # noqa: E402


# -- wrong use

@case("wrong use is refused with status 2, a reason and no guest")
def _(place):
    image, odd = place.image(), place.image(12345, "odd")
    large = place.image(4 << 20, "large")
    for args, text in (
            (["--guests", "0"], "0 guests: at least one"),
            (["--guests", "x"], "invalid int value"),
            (["--device", "pmem:/no/such"], "/no/such: No such file or directory"),
            (["--device", "pmem:" + place.path], "Is a directory"),
            (["--device", "pmem:/dev/null"], "is no regular file"),
            (["--device", "pmem:"], "No such file or directory"),
            (["--device", "pmem:" + odd], "12345 bytes, .* multiple of 2 MiB; 'truncate -s %2M"),
            (["--device", "blk:" + odd], "multiple of 512 bytes"),
            (["--device", "floppy:" + image], "KIND is one of pmem, ramdax, nvdimm, carveout, hmem, reserved, blk"),
            (["--device", image], "write KIND:IMAGE"),
            (["--device", f"pmem:{image},bps=1M"], "pmem has no option 'bps'"),
            (["--device", f"blk:{image},bps=fast"], "'fast' is no size"),
            (["--device", f"blk:{image},bps=0"], "bps must be above 0"),
            (["--device", f"ramdax:{image},size=0"], "size must be above 0"),
            (["--device", f"nvdimm:{image},size=2M"], "nvdimm has no option 'size'"),
            (["--device", f"carveout:{image}@0x200000"], "must lie outside guest RAM"),
            (["--device", f"carveout:{image}@0x140001000"], "no multiple of 2 MiB"),
            (["--device", f"carveout:{image}@here"], "'here' is no address"),
            (["--device", f"carveout:{image}@0xfffffff00000000"], "must lie outside guest RAM"),
            (["--device", f"carveout:{large}@0x140000000", "--device", f"carveout:{image}@0x140200000"], "overlaps"),
            (["--device", "disk:0"], "multiple of 512 bytes, above 0"),
            (["--device", "disk:12"], "multiple of 512 bytes, above 0"),
            (["--memory", "lots"], "'lots' is no size"),
            (["--memory", "1M"], "at least 64M"),
            (["--timeout", "0"], "time limit must be above 0"),
            (["--timeout", "nan"], "time limit must be above 0"),
            (["--icount", "--cpus", "2"], "exactly one under --icount"),
            (["--file", "/no/such"], "file /no/such for the guest: No such file"),
            (["--env", "NOVALUE"], "write NAME=VALUE"),
            (["--append", "x={carveout7.address}"], "no device has {carveout7.address}"),
            (["--append", "x={pmem0.path}", "--device", "pmem:" + image], "no device has {pmem0.path}"),
            (["--range", "a:2M@{carveout7.address}"], "no device has {carveout7.address}"),
            (["--devicetree", "/no/such"], "device tree /no/such: No such file"),
            (["--devicetree", os.path.join(TOP, "Makefile")], "device tree .*: Error: .*syntax error"),
            (["--devicetree", os.path.join(TOP, "qemu/tests/dax/ramdax-devicetree.dts")],
             "no device has {reserved0.address}"),
            (["--log", "/proc/nope"], "No such file or directory"),
            (["--kernel", "/no/such"], "No such file or directory; 'make kernel' builds one"),
            (["--kernel", "/bin/sh"], "/bin/sh is no kernel of x86_64 .*, arm64 .* or powerpc64")):
        status, out = place.run(*args, program=["true"])
        expect(status == 2, args, status, out)
        seen(out, text)
        expect("Traceback" not in out, args, out)
    status, out = place.run()
    expect(status == 2, status, out)
    seen(out, "name a program to run")


@case("no QEMU, a wrong ACCEL and a missing initramfs say what to do")
def _(place):
    for change, text in (({"QEMU": "/no/such/qemu"}, "not installed; 'make packages'"),
                         ({"ACCEL": "fast"}, "ACCEL=fast: it is kvm or tcg"),
                         ({"BUILD": place.tmp, "ACCEL": "tcg"}, "base.cpio: .*'make guest' builds it")):
        done = subprocess.run(place.command(program=["true"]), env=dict(os.environ, **change), cwd=place.path,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        expect(done.returncode == 2, done.returncode, done.stdout)
        seen(done.stdout, text)
        place.nothing_left(done.stdout)


@case("what QEMU refuses is said in its words")
def _(place):
    status, out = place.run("--cpu", "no-such-cpu", program=["true"])
    expect(status == 1, status, out)
    seen(out, "guest 0: QEMU ended with status 1: .*no-such-cpu")


@case("guests run without privileges")
def _(place):
    if os.getuid() != 0:
        return      # then every other case has shown it
    folder = os.path.join(place.path, "user")
    os.makedirs(folder + "/build/guest")
    shutil.copytree(os.path.join(TOP, "qemu"), folder + "/qemu")
    shutil.copy(os.path.join(harness.build_dir(), "guest", "base.cpio"), folder + "/build/guest")
    shutil.copy(KERNEL, folder + "/kernel")
    image = place.image(2 << 20, "user/image")
    subprocess.run(["chmod", "-R", "a+rX", place.path], check=True)
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", folder + "/qemu/vm", "run", "--kernel",
         folder + "/kernel", "--append", place.mark, "--device", "pmem:" + image, "--device", "disk:1M", "--", "true"],
        env=dict(os.environ, BUILD=folder + "/build", ACCEL="tcg", HOME=folder), cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    expect(done.returncode == 0, done.returncode, done.stdout)
    place.nothing_left(done.stdout)


# -- without a guest

@case("the table of devices in the documentation is that of the code")
def _(_place):
    with open(os.path.join(TOP, "Documentation", "harness.md"), encoding="utf-8") as stream:
        text = stream.read()
    for line in harness.markdown_table().splitlines():
        expect(line + "\n" in text, "Documentation/harness.md lacks this line of 'qemu/vm devices':", line)
    rows = re.findall(r"^\| `([a-z]+):", text, re.MULTILINE)
    expect(rows == [cls.kind for cls in harness.CLASSES], rows)


@case("architectures and their kernels are those of kernel/config/arch")
def _(_place):
    folder = os.path.join(TOP, "kernel", "config", "arch")
    files = sorted(name.removesuffix(".config") for name in os.listdir(folder))
    wanted = []
    for arch in harness.ARCHS.values():
        wanted += [arch.name] + [f"{arch.name}-{pages}" for pages in arch.pages if len(arch.pages) > 1]
        with open(os.path.join(folder, arch.name + ".config"), encoding="utf-8") as stream:
            seen(stream.read(), f"(?m)^# image: {re.escape(arch.image)}$")
    expect(files == sorted(wanted), files, wanted)


@case("what an architecture or its machine does not have is said")
def _(_place):
    for change, args, text in (
            ({"ARCH": "mips"}, ["devices"], "ARCH=mips is not one of: x86_64, arm64, powerpc64"),
            ({"ARCH": "arm64", "PAGES": "8k"}, ["devices"], "PAGES=8k: kernels of arm64 have pages of 4k, 16k, 64k"),
            ({"ARCH": "arm64"}, ["shell", "--check", "--device", "nvdimm:x"],
             "the machine of arm64 has no nvdimm; it has pmem, ramdax, reserved, blk, disk")):
        env = {key: value for key, value in os.environ.items() if key not in ("KERNEL", "ARCH", "PAGES")}
        done = subprocess.run([VM, *args], env={**env, **change}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        expect(done.returncode == 2, done.returncode, done.stdout)
        seen(done.stdout, text)


@case("no file of the harness uses one that uses it")
def _(_place):
    uses = {}
    for package in ("harness", "guesttest"):
        for entry in os.scandir(os.path.join(TOP, "qemu", package)):
            if entry.name.endswith(".py") and entry.name != "__init__.py":
                with open(entry.path, encoding="utf-8") as stream:
                    found = re.findall(r"^from \.(\w*) import (\w+)", stream.read(), re.MULTILINE)
                uses[f"{package}.{entry.name[:-3]}"] = {f"{package}.{a or b}" for a, b in found}
    while done := [name for name, others in uses.items() if not others & uses.keys()]:
        for name in done:
            del uses[name]
    expect(not uses, uses)


@case("each kind of kernel complaint is recognised, and harmless lines are not")
def _(_place):
    bad = """[    1.271654] WARNING: CPU: 0 PID: 1 at fs/dax.c:390 dax_insert_entry+0x2a1/0x2d0
[    1.2] BUG: KASAN: slab-use-after-free in erofs_read+0x1/0x2
[    1.2] BUG: kernel NULL pointer dereference, address: 0000000000000008
[   12.3] BUG: unable to handle page fault for address: ffffc900000f8000
[    2.0][    T1] BUG: sleeping function called from invalid context at mm/util.c:1
WARNING: possible circular locking dependency detected
[    1.0] WARNING: suspicious RCU usage
[    1.0] kernel BUG at fs/erofs/data.c:1!
[    1.0] Oops: invalid opcode: 0000 [#1] PREEMPT SMP KASAN
[    1.0] general protection fault, probably for non-canonical address 0xdffffc0000000000: 0000 [#1]
[   61.0] INFO: task mount:31 blocked for more than 60 seconds.
[   22.0] rcu: INFO: rcu_preempt self-detected stall on CPU
[   22.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   26.0] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [sh:1]
[   10.0] kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
[    3.0] UBSAN: array-index-out-of-bounds in fs/erofs/zmap.c:1:2
[    0.9] BUG kmalloc-64 (Not tainted): Redzone overwritten
[    0.9] Kernel panic - not syncing: Attempted to kill init!"""
    good = """[    0.0] Spectre V2 : WARNING: Unprivileged eBPF is enabled
[    0.0] MDS: Vulnerable: Clear CPU buffers attempted, no microcode
[    0.0] x86/cpu: CPU BUG: none
[    1.0] erofs: (device pmem0): WARNING is only a word here
[    1.0] FAULT_INJECTION: forcing a failure.
[    1.0] Memory failure: 0x100000: recovery action for clean LRU page: Recovered
[    1.0] reboot: Restarting system"""
    for line in bad.splitlines():
        expect(harness.SPLAT.match(line), "not recognised: " + line)
    for line in good.splitlines():
        expect(not harness.SPLAT.match(line), "taken for a complaint: " + line)


@case("KTAP is judged by its rules")
def _(_place):
    for text, problem, skip in (
            ("KTAP version 1|1..2|ok 1 - a|ok 2 - b", None, None),
            ("1..2|ok 1 - a|not ok 2 - b", "1 of 2 results are not ok", None),
            ("1..2|ok 1 - a", "it printed 1 of 2 results", None),
            ("1..1|ok 1|ok 2", "it printed 2 of 1 results", None),
            ("1..2|ok 1 - a|ok 3 - b", "result 2 has number 3", None),
            ("ok 1 - a", "it printed no plan", None),
            ("", "it printed no plan", None),
            ("1..1|1..1|ok 1", "it printed two plans", None),
            ("1..0 # SKIP no device", None, "no device"),
            ("1..2|ok 1 - a # SKIP why|ok 2 - b # SKIP other", None, "why"),
            ("1..2|ok 1 - a # SKIP why|ok 2 - b", None, None),
            ("1..1|not ok 1 - a # TODO later", None, None),
            ("1..1|Bail out! no more", "Bail out! no more", None),
            ("1..1|  not ok 1 - of a subtest|ok 1 - a", None, None)):
        got = guesttest.judge(text.split("|"))
        expect((got[0] or "").startswith(problem or "") and bool(got[0]) == bool(problem) and got[1] == skip,
               text, got)


SPEC = """# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: a test of the tests
%s
. /harness/ktap.sh
check "good" true
check "second" %s
skip "third" "no reason"
%s
done_testing
"""


def guest_test(place, head, command, tail="", name="probe.sh"):
    """Run a test made here. Returns its Result."""
    path = os.path.join(place.path, name)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(SPEC % (head, command, tail))
    run = guesttest.Run(KERNEL, "fast", os.path.join(place.path, "log"))
    group = run.group(guesttest.Spec(path))
    if isinstance(group, guesttest.Result):
        return group
    harness.run_groups([group])
    place.nothing_left()
    return run.judge(group)


@case("a guest test passes, fails with its reason, and leaves a log only if it fails")
def _(place):
    head = f"# append: {place.mark}"
    good = guest_test(place, head, "true")
    expect(not good.problem and not good.skip, good.problem, good.skip, good.detail)
    expect(not os.path.exists(place.path + "/log/probe.log"), "a log is left")
    bad = guest_test(place, head, "sh -c 'echo the reason; exit 4'")
    expect(bad.problem == "1 of 3 results are not ok", bad.problem, bad.detail)
    seen("\n".join(bad.detail), "^# the reason$", "^# status 4: ", "^not ok 2 - second$", "probe.log")
    expect(os.path.exists(place.path + "/log/probe.log"), "there is no log")
    dead = guest_test(place, head, "true", "echo c > /proc/sysrq-trigger")
    expect("panicked" in (dead.problem or ""), dead.problem, dead.detail)
    lost = guest_test(place, head, "true", "mount -t tmpfs t /sys/kernel/debug; : > /sys/kernel/debug/kmemleak; "
                                           "leaks none")
    seen("\n".join(lost.detail), "^# scan$", "^not ok 4 - none$")
    status = guest_test(place, head, "true", "exit 5")
    expect("status 5" in (status.problem or ""), status.problem)


KTAP_PROGRAM = """
#include "ktap.h"
#include <unistd.h>

int main(void)
{
	int three = 3;
	double half = 0.5;

	ktap_begin();
	ktap_eq(three, 4, "three is four");
	ktap_ok(ktap_is(three, ==, 3) && ktap_is(half, >, 1), "a half is above 1");
	ktap_fails(access("/none", F_OK), EPERM, "%d: no permission", 7);
	ktap_fails(access("/", F_OK), ENOENT, "there is no root");
	errno = ENOENT;
	ktap_ok(three < 2 || !three, "three is small");
	ktap_ok(ktap_is(&three, !=, NULL) && ktap_is(half, <=, 0.5) && ktap_is(-1, <, three), "all of this holds");
	ktap_fails(access("/none", F_OK), ENOENT, "no such file");
	return ktap_end();
}
"""
KTAP_OUTPUT = """KTAP version 1
# three is 3, wanted == 4
not ok 1 - three is four
# half is 0.5, wanted > 1
not ok 2 - a half is above 1
# access("/none", F_OK): so, errno is 2 (No such file or directory), wanted 1 (Operation not permitted)
not ok 3 - 7: no permission
# access("/", F_OK): not so, errno is 2 (No such file or directory), wanted 2 (No such file or directory)
not ok 4 - there is no root
# not so: three < 2 || !three; errno is 2 (No such file or directory)
not ok 5 - three is small
ok 6 - all of this holds
ok 7 - no such file
1..7
"""


@case("a result in C that is not good says what was compared")
def _(place):
    source, program = os.path.join(place.path, "probe.c"), os.path.join(place.path, "probe")
    with open(source, "w", encoding="ascii") as stream:
        stream.write(KTAP_PROGRAM)
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-I", os.path.join(TOP, "qemu", "guest"), "-o", program, source],
                   check=True)
    done = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=False)
    expect(done.returncode == 1 and done.stdout == KTAP_OUTPUT, done.returncode, done.stdout)


@case("a guest test is skipped for a kernel that cannot run it, with the reason")
def _(place):
    for head, reason in (("# config: NO_SUCH_OPTION", "the kernel has no CONFIG_NO_SUCH_OPTION"),
                         ("# config: EROFS_FS !PRINTK", "the kernel has CONFIG_PRINTK"),
                         ("# flavours: debug", "it is for the flavour debug")):
        expect(guest_test(place, head, "true").skip == reason, head)


@case("a wrong declaration of a guest test is refused with its line")
def _(place):
    for head, reason in (("# divice: pmem:x", "probe.sh:4: 'divice:' is no key"),
                         ("# memory: 64M\n# memory: 64M", "probe.sh:5: 'memory:' is given twice"),
                         ("# device: pmem:x", "probe.sh:4: no 'image:' line makes 'x'"),
                         ("# image: x no-such-recipe", "probe.sh:4: there is no recipe"),
                         ("# timeout: soon", "probe.sh:4: timeout is a whole number"),
                         ("# flavours: slow", "probe.sh:4: flavours are fast, debug, modules")):
        try:
            guest_test(place, head, "true")
        except harness.HarnessError as error:
            expect(reason in str(error), reason, error)
            continue
        raise Failed(f"accepted: {head}")


@case("qemu/vm test: names, lists, TAP")
def _(place):
    def vm(*args):
        done = subprocess.run([VM, "test", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, env=dict(os.environ, TMPDIR=place.tmp))
        return done.returncode, done.stdout
    status, out = vm("no-such-test")
    expect(status == 2, out)
    seen(out, "no guest test 'no-such-test'.*vm test --list", "make new-test NAME=GROUP/NAME")
    status, out = vm()
    expect(status == 2, out)
    seen(out, "name the tests to run, or give --all")
    status, out = vm("--list")
    expect(status == 0, out)
    seen(out, "^core/backends +[a-z]")
    status, out = vm("--tap", "overlay-exec", "--kernel", KERNEL)
    expect(status == 0, out)
    seen(out, "^1..1\nok 1 - overlay-exec: ")


if __name__ == "__main__":
    sys.exit(cases.main())

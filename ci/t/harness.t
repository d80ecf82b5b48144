#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest harness: what goes wrong is seen and said, and nothing is left behind.

Prints TAP.
"""
import hashlib
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import termios
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../helpers"))
import cases    # noqa: E402
from cases import KERNEL, VM, Failed, case, expect, seen    # noqa: E402
import guesttest    # noqa: E402
import harness      # noqa: E402


# -- what a guest does

@case("a program's output, results and status come out")
def _(place):
    status, out = place.run(program=["sh", "-c", 'echo "to \\"stdout\\" é"; echo to stderr >&2; '
                                     'guestctl result \'{"a": [1, 2]}\'; exit 7'])
    expect(status == 7, status, out)
    seen(out, '^to "stdout" é$', "^to stderr$", r'^\{"a": \[1, 2\]\}$', "sh ended with status 7")
    status, out = place.run("--json", program=["sh", "-c", "seq 1 20000 | tr '\\n' , | "
                                               "sed 's/.*/[&0]/' | guestctl result -"])
    expect(status == 0 and out.count("\n") > 20000, status, out[-500:])


@case("a program that a signal ends, and one that is not there")
def _(place):
    status, out = place.run(program=["sh", "-c", "kill -SEGV $$"])
    expect(status == 128 + signal.SIGSEGV, status, out)
    seen(out, "sh ended with signal 11")
    status, out = place.run(program=["no-such-program"])
    expect(status == 127, status, out)
    seen(out, "no-such-program: No such file or directory")


@case("a program of the host and a file are put into the guest")
def _(place):
    script = os.path.join(place.path, "script")
    with open(script, "w", encoding="ascii") as stream:
        stream.write("#!/bin/sh\ncat /root/data /etc/other; echo $1 $VALUE\n")
    os.chmod(script, 0o755)
    data = place.image(0, "data")
    with open(data, "w", encoding="ascii") as stream:
        stream.write("the data\n")
    status, out = place.run("--file", data, "--file", data + ":/etc/other", "--env", "VALUE=v",
                            program=[script, "argument"])
    expect(status == 0, status, out)
    seen(out, "^the data\nthe data\nargument v$")


@case("a guest that panics is a failure with its console")
def _(place):
    place.fails(["sh", "-c", "echo c > /proc/sysrq-trigger"],
                "guest 0: the guest panicked: .*Kernel panic - not syncing: sysrq triggered crash",
                r"\| .*Call Trace:")


@case("a kernel warning is a failure, though the program succeeds")
def _(place):
    for options in ([], ["--append", place.mark + " panic_on_warn=0"]):
        place.fails(["sh", "-c", "echo WARNING > /sys/kernel/debug/provoke-crash/DIRECT; exit 0"],
                    "guest 0: the guest printed a kernel warning: WARNING: .*lkdtm_WARNING",
                    r"\| .*Call Trace:", options=options)


@case("a kernel BUG is a failure")
def _(place):
    place.fails(["sh", "-c", "echo BUG > /sys/kernel/debug/provoke-crash/DIRECT"],
                "guest 0: the guest printed a kernel warning: .*kernel BUG at .*lkdtm")


@case("a program that hangs runs out of time, and what it waits for is shown")
def _(place):
    place.fails(["sleep", "1000"], "guest 0: no end within the time limit of 6 s", "the time limit is reached",
                "sysrq: Show Blocked State", options=["--timeout", "6"])


@case("a kernel that hangs runs out of time, and shows where")
def _(place):
    place.fails(["sh", "-c", "echo HARDLOCKUP > /sys/kernel/debug/provoke-crash/DIRECT"],
                "guest 0: no end within the time limit of 6 s", "lkdtm_HARDLOCKUP", options=["--timeout", "6"])


@case("a guest that never gets to its init is a failure")
def _(place):
    place.fails(["true"], "guest 0: the guest panicked: .*(No working init|Unable to mount root)",
                options=["--append", place.mark + " rdinit=/nope"])


@case("a device that the kernel does not show is a failure that names it")
def _(place):
    place.fails(["true"], "guest 0: the kernel shows no block device for blk0",
                options=["--device", "blk:" + place.image(),
                         "--append", place.mark + " initcall_blacklist=virtio_blk_init"])
    driver = harness.CARVEOUT_PARAMETER
    place.fails(["true"], f"guest 0: the kernel shows no DAX device for ramdax0; does it have the driver {driver}",
                options=["--device", "ramdax:" + place.image(),
                         "--append", f"{place.mark} initcall_blacklist={driver.removeprefix('dax_')}_init"])


@case("a result that is no JSON is a failure that quotes it")
def _(place):
    place.fails(["sh", "-c", "guestctl result '{broken'; sleep 20"],
                "guest 0: sent a line that is no JSON result: .*broken")


# -- several guests

@case("guests meet at barriers; their QEMU pids are known there")
def _(place):
    met = []

    def barrier(name, guests):
        met.append((name, [g.pid for g in guests]))
        for g in guests:
            os.kill(g.pid, 0)
        expect(sorted(place.guests()) == sorted(g.pid for g in guests), "other guests than said")

    guests = [harness.Guest(KERNEL, ["sh", "-c", "guestctl ready one && guestctl ready && guestctl result $GUEST_ID"],
                            append=place.mark) for _ in range(3)]
    expect(harness.run(guests, barrier), [g.report() for g in guests])
    expect([n for n, _ in met] == ["one", "ready"] and len(set(met[0][1])) == 3, met)
    expect([g.results for g in guests] == [[0], [1], [2]], [g.results for g in guests])
    expect(all(g.pid is None for g in guests), "a guest still has a pid")
    place.nothing_left()


@case("time that a guest waits for others at a barrier is not its own")
def _(place):
    status, out = place.run("--guests", "2", "--timeout", "12", program=[
        "sh", "-c", "[ $GUEST_ID = 0 ] || sleep 7; guestctl ready one; [ $GUEST_ID = 1 ] || sleep 7; "
        "guestctl ready two"])
    expect(status == 0, status, out)
    place.fails(["sh", "-c", "[ $GUEST_ID = 0 ] || sleep 100; guestctl ready"],
                "guest 1: no end within the time limit of 12 s", "guest 0: ended, because guest 1 failed",
                options=["--guests", "2", "--timeout", "12"])


@case("a guest that ends while another waits at a barrier is a failure, at once")
def _(place):
    before = time.monotonic()
    status, out = place.run("--guests", "2", "--timeout", "100", program=[
        "sh", "-c", "[ $GUEST_ID = 0 ] || guestctl ready"])
    expect(status == 1 and time.monotonic() - before < 60, status, out)
    seen(out, "guest 0: ended while guest 1 waits at barrier 'ready'", "0 of 2 guests ended well")


@case("an exception in the barrier's callback leaves no guest")
def _(place):
    def barrier(name, guests):
        raise RuntimeError("on purpose")

    guests = [harness.Guest(KERNEL, ["guestctl", "ready"], append=place.mark) for _ in range(2)]
    try:
        harness.run(guests, barrier)
    except RuntimeError:
        place.nothing_left()
        return
    raise Failed("the exception was swallowed")


# -- images

@case("no guest can write to an image by its device")
def _(place):
    image = place.image(4 << 20)
    with open(image, "rb") as stream:
        before = hashlib.sha256(stream.read()).digest()
    status, out = place.run(
        "--device", "pmem:" + image, "--device", "nvdimm:" + image, "--device", "carveout:" + image + "@0x180000000",
        "--device", "ramdax:" + image, "--device", "blk:" + image, program=[
            "sh", "-c", "cat /harness/devices; test -c /dev/harness/ramdax0 || exit 9; for d in /dev/harness/*; do blockdev --setrw $d; "
            "dd if=/dev/urandom of=$d bs=4096 count=4 conv=fsync; done; cat /proc/mounts > /dev/null; "
            "dd if=/dev/urandom of=/dev/mem bs=4096 seek=$((0x180000000 / 4096)) count=4 conv=notrunc; "
            "cmp -n 4096 /dev/harness/pmem0 /dev/harness/blk0; exit 0"])
    seen(out, "^carveout0 memory 0x180000000 4194304$", "^ramdax0 range 0x[0-9a-f]+ 4194304 ")
    with open(image, "rb") as stream:
        expect(hashlib.sha256(stream.read()).digest() == before, "the image has changed", out)
    expect(status == 0, status, out)


@case("a scratch disk keeps what is written, and a throttled disk is slow")
def _(place):
    status, out = place.run(
        "--device", "disk:16M", "--device", "blk:" + place.image(2 << 20) + ",bps=1M", program=[
            "sh", "-c", "dd if=/bin/busybox of=/dev/harness/disk0 bs=64k count=8 conv=fsync 2>/dev/null; "
            "echo 3 > /proc/sys/vm/drop_caches; cmp -n 524288 /bin/busybox /dev/harness/disk0 || exit 9; "
            "a=$(cut -d. -f1 /proc/uptime); dd if=/dev/harness/blk0 of=/dev/null bs=64k; "
            "b=$(cut -d. -f1 /proc/uptime); echo took $((b - a)); [ $((b - a)) -ge 1 ]"])
    expect(status == 0, status, out)


@case("20 guests: as many boot at a time as this machine can bear, then all are there")
def _(place):
    booting = []

    class Counted(harness.Guest):
        """A guest whose start counts those that boot."""

        def start(self):
            super().start()
            booting.append(sum(g.pid is not None and not g.booted for g in guests))

    def barrier(_, group):
        expect(len(set(g.pid for g in group)) == len(place.guests()) == 20, "not all of them run")
        initramfs = {os.stat(f"/proc/{g.pid}/fd/{g.initramfs_fd}").st_ino for g in group}
        expect(len(initramfs) == 1, "they have several copies of one initramfs", initramfs)

    image = place.image()
    guests = [Counted(KERNEL, ["sh", "-c", "guestctl ready; guestctl result $GUEST_ID"], ["pmem:" + image],
                      memory=96 << 20, timeout=150, append=place.mark) for _ in range(20)]
    expect(harness.run(guests, barrier), [g.report() for g in guests])
    expect([g.results for g in guests] == [[i] for i in range(20)], [g.results for g in guests])
    expect(1 < max(booting) <= max(4, 2 * os.cpu_count()), booting)
    place.nothing_left()


@case("a guest that fails keeps those from starting that have not yet")
def _(place):
    before = time.monotonic()
    status, out = place.run("--guests", "30", "--timeout", "100", "--append", place.mark + " rdinit=/nope",
                            program=["true"])
    expect(status == 1 and time.monotonic() - before < 60, status, out)
    seen(out, "guest 29: ended, because guest [0-9]+ failed", "0 of 30 guests ended well")


@case("under --icount two runs count nearly the same instructions")
def _(place):
    counts = []
    for _ in range(2):
        status, out = place.run("--icount", program=[
            "sh", "-c", "cut -d' ' -f1 /proc/uptime; i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done; "
            "cut -d' ' -f1 /proc/uptime"])
        expect(status == 0, status, out)
        first, last = (float(x) for x in re.findall(r"^[0-9.]+$", out, re.MULTILINE))
        counts.append(last - first)
    expect(abs(counts[0] - counts[1]) <= 0.02 * max(counts) + 0.02, counts)


@case("a guest that a busy host starves is not taken for one that hangs")
def _(place):
    program = ["sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done"]
    # What it needs of a processor, however busy this machine is already.
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])    # noqa: E731
    needs = used()
    status, out = place.run(program=program)
    needs = used() - needs
    expect(status == 0, status, out)
    # Then hogs and the guest on one CPU of the host, where it gets a fifth.  Each
    # hog is a session of its own: a kernel with autogroups shares out by session.
    limit = 2 * needs
    cpu = {min(os.sched_getaffinity(0))}
    hogs = [subprocess.Popen(["sh", "-c", "while :; do :; done"], start_new_session=True,
                             preexec_fn=lambda: os.sched_setaffinity(0, cpu)) for _ in range(4)]
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cpu)
        start = time.monotonic()
        status, out = place.run("--timeout", f"{limit:.1f}", program=program)
        seconds = time.monotonic() - start
    finally:
        os.sched_setaffinity(0, before)
        for hog in hogs:
            hog.kill()
            hog.wait()
    expect(status == 0, status, out)
    expect(seconds > limit, f"it took only {seconds:.1f} s, and it needs {needs:.1f} s: this shows nothing")


# -- the shell

@case("vm shell: images are mounted, Ctrl-C reaches the guest, the terminal is as before")
def _(place):
    image = guesttest.make_image("tree")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(VM, [VM, "shell", "--kernel", KERNEL, "--append", place.mark, "--device", "pmem:" + image])
    mode = termios.tcgetattr(terminal)
    text = b""

    def until(pattern):
        nonlocal text
        end = time.monotonic() + 40
        while not (match := re.search(pattern, text)):
            ready = select.select([terminal], [], [], max(0, end - time.monotonic()))[0]
            expect(ready, f"no match for {pattern}", text.decode("utf-8", "replace"))
            try:
                text += os.read(terminal, 4096)
            except OSError:
                # EIO: the other end is closed.
                raise Failed(f"it ended without {pattern}", text.decode("utf-8", "replace")) from None
        text = text[match.end():]

    try:
        until(rb"pmem0 is mounted on /mnt/pmem0 \(ro,.*dax=always\)")
        until(rb"/mnt # ")
        os.write(terminal, b"sleep 1000; echo back $?\r")
        until(rb"back \$\?\r")
        time.sleep(1)
        os.write(terminal, b"\x03")
        until(rb"/mnt # ")
        os.write(terminal, b"cat pmem0/deep/a/b/c/d/e/file; exit 3\r")
        until(rb"deep\r+\n")
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        pid = 0
        expect(status == 0, status)
        expect(termios.tcgetattr(terminal) == mode, "the terminal has another mode")
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(terminal)
    place.nothing_left()


@case("vm shell without a terminal is refused")
def _(place):
    done = subprocess.run([VM, "shell", "--kernel", KERNEL], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    expect(done.returncode == 2, done.stdout)
    seen(done.stdout, "the shell needs a terminal")


if __name__ == "__main__":
    sys.exit(cases.main())

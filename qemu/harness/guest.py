# SPDX-License-Identifier: GPL-2.0-or-later
"""One guest, from its description to its results."""
import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import time

from . import machine
from .console import Console
from .device import Device, make_device, name_devices
from .host import MIB, HarnessError, die_with, find_qemu, memory_file, round_up
from .kernel import arch_of, kernel_config

EXIT_WAIT = 20.0                 # seconds from a guest's "exit" to the end of QEMU
DUMP_WAIT = 2.0                  # seconds for a hung guest to say where it hangs


class Guest:
    """One guest, from its description to its results.

    kernel    path of an image; the guest is of its architecture
    argv      command to run in the guest: program and arguments
    devices   Device objects or specs ("pmem:IMAGE"); not shared between guests
    memory    bytes of RAM
    cpus      virtual CPUs
    files     (host path, guest path) of files to put into the initramfs
    env       environment of the command; GUEST_ID and GUEST_COUNT are added
    append    more kernel parameters; {NAME.address} and {NAME.size} stand for
              those of a device, for example {carveout0.address}, and {ram.address} for one in RAM
    ranges    NAME:SIZE@ADDRESS of further ranges to be DAX devices, with the same stand-ins
    devicetree  source of a device tree for the kernel (.dts), beside ACPI or what else the
              machine tells it by; with the same stand-ins; None for none
    timeout   seconds from start to end
    icount    count instructions: guest time = instructions, one CPU, emulation
    accel     "kvm" or "tcg"; None: what works here, as the run finds out
    cpu       CPU model; None: all that the accelerator can do
    base      the base initramfs (make guest)
    log       file for the console; None keeps it in memory
    tty       give the command this process's terminal (make shell)
    verbose   whole kernel log on the console, not only warnings
    on_output called with (guest, "stdout" | "stderr", line) as lines arrive

    `qemu_words` may be given more arguments of QEMU before the start.

    Then: id, pid (of QEMU, while it runs), results (JSON values in the order
    they came), output ([(stream, line)]), status (exit status of the command,
    None if it did not end), failure (None or what went wrong), seconds.
    """

    def __init__(self, kernel, argv, devices=(), *, memory=256 * MIB, cpus=1, files=(), env=None,
                 append="", ranges=(), devicetree=None, timeout=60.0, icount=False, accel=None, cpu=None,
                 base=None, log=None, tty=False, verbose=False, on_output=None):
        self.arch = arch_of(kernel)
        self.kernel, self.argv = kernel, [str(a) for a in argv]
        self.memory, self.cpus, self.files = round_up(memory, self.arch.ram_unit), cpus, list(files)
        self.env, self.timeout, self.icount = dict(env or {}), timeout, icount
        self.accel, self.cpu, self.log, self.tty = accel, cpu, log, tty
        self.verbose, self.on_output = verbose, on_output
        self._check()
        if icount:
            self.accel = "tcg"
        self.devices = [d if isinstance(d, Device) else make_device(d, self.arch.name) for d in devices]
        self.base = base or os.path.join(self.arch.folder("guest"), "base.cpio")
        self.config = kernel_config(kernel) or {}
        name_devices(self.devices)
        self.window = self.arch.lay_out(self.devices, self.memory)
        self.append = machine.insert_fields(append, self, f"kernel parameters '{append}'")
        self.ranges = [machine.insert_fields(r, self, f"range '{r}'") for r in ranges]
        self.devicetree = machine.read_devicetree(devicetree, self) if devicetree else ""
        self.qemu_words = []
        self.id, self.count = 0, 1
        self.results, self.output, self.status, self.failure = [], [], None, None
        self.seconds, self.waiting, self.booted, self.closed = None, None, False, False
        self._process = self._port = self._monitor = self._console = self._pidfd = None
        self._errors = self._port_buffer = b""
        self._started = self._since = self._ended = self._dumped = self._nmi = None
        self._died, self._never_ran, self._waited = False, False, 0.0
        self.initramfs_fd = None

    def _check(self):
        """Raise HarnessError for a description that makes no sense."""
        if not self.argv:
            raise HarnessError("there is no program to run in the guest")
        if self.memory < 64 * MIB or self.memory % MIB:
            raise HarnessError(f"guest memory of {self.memory} bytes: at least 64M, in whole MiB")
        if self.cpus < 1 or (self.icount and self.cpus > 1):
            raise HarnessError("a guest has at least one CPU, and exactly one under --icount")
        if not (self.timeout > 0 and math.isfinite(self.timeout)):
            raise HarnessError("the time limit must be above 0 seconds")
        if self.icount and self.accel == "kvm":
            raise HarnessError("instructions can be counted only under emulation (ACCEL=tcg)")

    # -- before the start

    def initramfs(self):
        """The bytes of base archive and this run's own files."""
        return machine.initramfs(self)

    def prepare(self, known):
        """Read the initramfs, which may take long.

        `known` is a dict in which guests of a run find the initramfs that another of them
        has, so that the host has it once; its values are descriptors.
        """
        data = self.initramfs()
        if data not in known:
            known[data] = memory_file("initrd", data)
        self.initramfs_fd = known[data]

    def start(self):
        """Start QEMU, after prepare(). Raises HarnessError if it cannot be started at all."""
        with contextlib.ExitStack() as stack:
            self._port, port = socket.socketpair()
            self._monitor, monitor = socket.socketpair()
            stack.callback(port.close)
            stack.callback(monitor.close)
            self._console = Console(self._open_console())
            fds = [self.initramfs_fd, self._console.fd, port.fileno(), monitor.fileno()]
            for device in self.devices:
                fds += device.open(stack)

            def keep(name, data):
                fds.append(memory_file(name, data))
                stack.callback(os.close, fds[-1])
                return f"/dev/fd/{fds[-1]}"

            args = machine.qemu_arguments(self, *fds[:4], keep)
            parent = os.getpid()
            self._process = subprocess.Popen(
                [find_qemu(self.arch.emulator)] + args, pass_fds=fds,
                stdin=None if self.tty else subprocess.DEVNULL,
                stdout=None if self.tty else subprocess.DEVNULL, stderr=subprocess.PIPE,
                preexec_fn=lambda: self._in_child(parent))
            self._started = time.monotonic()
        for stream in (self._port, self._monitor):
            stream.setblocking(False)
        os.set_blocking(self._process.stderr.fileno(), False)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._monitor.send(b'{"execute":"qmp_capabilities"}\n')

    def _open_console(self):
        if not self.log:
            return memory_file("console")
        try:
            return os.open(self.log, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise HarnessError(f"console log {self.log}: {error.strerror}") from None

    def _in_child(self, parent):
        die_with(parent)
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
    def started(self):
        """Has QEMU been started?"""
        return self._process is not None

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
                self.waiting, self._since = event["name"], time.monotonic()
            elif kind == "error":
                self._never_ran = True
                self.fail(event["text"])
            elif kind == "exit":
                # after an error it is the status of init
                self.status = None if self._never_ran else event["status"]
                self._ended = self._clock(time.monotonic())
                self.send("bye")
            elif kind == "start":
                self.booted = True
                self.scan_console()
                self._console.mark_start()
            else:
                raise KeyError(kind)
        except (ValueError, KeyError, TypeError, AttributeError):
            self.fail(f"sent a line that is no JSON result: {line[:200].decode('utf-8', 'replace')}")

    def send(self, text):
        """Send a line to init; a guest that reads nothing loses it."""
        with contextlib.suppress(OSError):
            self._port.send(text.encode() + b"\n")

    def go_on(self):
        """Let the command leave its barrier; what it waited there was not the guest's time."""
        name, self.waiting = self.waiting, None
        self._started += time.monotonic() - self._since
        self.send("go " + name)

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
            self.fail("the guest stopped before it printed anything; is the kernel for this CPU?"
                      if self._console.empty else "the guest restarted before the command ended")
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
        if problem := self._console.scan():
            self.fail(problem)

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
        splat = self._console.splat
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
        elif self._ended is None and not self.waiting and self._busy(now, 0.0, self.timeout):
            self.fail(f"no end within the time limit of {self.timeout:.0f} s")
            # Let it say where it hangs: init first, which lists blocked tasks;
            # a kernel that is past that gets an NMI, at which it panics.
            self._dumped = now
            self._console.mark_dump()
            self.send("dump")
        elif self.failure and self._ended is None and not splat:
            self.kill()
        elif splat and self._console.quiet_since(now) > 1.0:
            # All of the report has come.
            self.kill()

    def kill(self):
        """End QEMU at once; its end is noticed through the pidfd."""
        if self.pid:
            self._process.kill()

    def close(self):
        """Kill, reap and close whatever is open. May be called twice."""
        if self.closed:
            return
        self.closed, self.seconds = True, 0.0
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
        if self._console:
            self.scan_console()
            self._console.close()

    # -- afterwards

    def console(self):
        """Everything on the console, once the guest has ended."""
        return self._console.text if self._console else ""

    def console_tail(self):
        """The part of the console that a report shows."""
        return self._console.tail(self._died) if self._console else []

    def report(self):
        """Failure and console as text for a person; empty if all went well."""
        if not self.failure:
            return ""
        head = f"guest {self.id}: {self.failure}"
        tail = self.console_tail()
        if not tail and not (self._console and self._console.started()):
            return head + "\n  (its console is empty)"
        return "\n".join([head] + ["  | " + line for line in tail])

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What mount.erofs makes of its command line, and what it unmounts; no EROFS in the kernel is needed."""
import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from taplib import MKFS, Tap, Wrong, get, must, must_fail, put, run  # noqa: E402

tap = Tap()
MOUNT = os.environ.get("MOUNT_EROFS", os.path.join(os.path.dirname(MKFS), "../mount/mount.erofs"))
HIDE = ("unshare", "--user", "--map-root-user", "--mount")


def fuse(want, *args):
    """An erofsfuse that lists its arguments is told @want."""
    put(tap.path("bin/erofsfuse"), b'#!/bin/sh\nfor a; do echo "<$a>"; done\n')
    os.chmod(tap.path("bin/erofsfuse"), 0o755)
    said = must("env", f"PATH={tap.path('bin')}:{os.environ['PATH']}", MOUNT, "-t", "erofs.fuse", *args)
    if said.split("\n")[:-1] != [f"<{a}>" for a in want]:
        raise Wrong(f"erofsfuse gets\n{said}")


tap.check("erofsfuse: a name is no command", fuse, ("-oro", "a b; echo c", "$(echo d) 'e"), "a b; echo c", "$(echo d) 'e")
tap.check("erofsfuse: options of several -o", fuse, ("-oro,nosuid,nodev", "a", "b"), "-o", "nosuid", "-o", "nodev", "a", "b")
tap.check("erofsfuse: what is none of its options", fuse, ("-oro,noexec,allow_other", "a", "b"),
          "-o", "rw,nofail,_netdev,x-a=b,users,strictatime,loop,noexec,silent,allow_other", "a", "b")
tap.check("erofsfuse: what must not be lost", fuse, ("-oro,nosymfollow,remount,move", "a", "b"), "-o", "nosymfollow,remount,move", "a", "b")

for option in "-v", "-n", "-s", "-nvs":
    tap.check(f"what mount(8) hands on: -f {option}", must, MOUNT, "-f", option, "-o", "ro", "-t", "erofs", "image", "/")
tap.check("what mount(8) hands on: -f mounts nothing", must, MOUNT, "-f", "image", "/nothing/at/all")
tap.check("what mount(8) hands on: -N", must_fail, "namespace", MOUNT, "-N", "1", "image", "/nothing/at/all")
tap.check("a debug level that is no number", must_fail, "debug level", MOUNT, "-dx", "-f", "image", "/")


for args in ("-o", "oci.layer=0"), ("-t", "erofs.local", "-o", "s3.endpoint=a"), ("-t", "erofs.fuse", "-o", "oci.layer=0"):
    tap.check(f"options of remote sources for a local one: {' '.join(args)}", must_fail, "oci", MOUNT, *args, "image", "/nothing/at/all")
os.environ["AWS_ACCESS_KEY_ID"] = "A" * 16
for sources in "s3.endpoint=a,oci.blob=b", "oci.blob=b,s3.endpoint=a":
    tap.check(f"options of two remote sources: {sources}", must_fail, "used together", MOUNT, "-f", "-t", "erofs.nbd", "-o", sources, "image", "/")
del os.environ["AWS_ACCESS_KEY_ID"]


def no_ublk():
    _, said = run(MOUNT, "-t", "erofs.ublk", "image", "/nothing/at/all")
    if "not built-in" in said and "Failed to mount" in said:
        raise Wrong(said)


tap.check("a backend that is not built in", no_ublk)


def unmount(source, name):
    os.makedirs(tap.path(name))
    must(*HIDE, "sh", "-ec", 'mount -t tmpfs "$1" "$2"; "$3" -u "$2"; ! grep -F "$1 " /proc/mounts', "sh",
         source, tap.path(name), MOUNT)


if subprocess.run((*HIDE, "true"), stderr=subprocess.DEVNULL).returncode:
    tap.skip("unmount", "no user namespaces")
else:
    for source, name in ("/no/such/image", "m"), ("erofsfuse", "m"), ("image", "a b\\c\td"):
        tap.check(f"unmount: {source} on {name!r}", unmount, source, name)


def options(names):
    """What mount(2) gets; few kernels that run this have EROFS."""
    put(tap.path("shim.c"), b"""
#include <errno.h>
#include <stdio.h>
int mount(const char *s, const char *t, const char *type, unsigned long flags, const void *data)
{
	printf("mount %s %lx %s\\n", type, flags, data ? (const char *)data : "none");
	return 0;
}
""")
    must("cc", "-shared", "-fPIC", "-o", tap.path("shim.so"), tap.path("shim.c"))
    said = must("env", "LD_PRELOAD=" + tap.path("shim.so"), "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0", MOUNT,
                "-o", names, "image", "/nothing")
    if said != "mount erofs 8107 cache_strategy=disabled\n":
        raise Wrong(said)


tap.check("options that mount(8) hands on", options,
          "rw,nofail,_netdev,users,noauto,x-a=b,comment=c,nosuid,nodev,silent,nosymfollow,iversion,noiversion,cache_strategy=disabled")


def not_mounted():
    loops = [f"/dev/loop{n}" for n in range(64) if os.path.exists(f"/dev/loop{n}")]
    mounts = open("/proc/mounts").read()
    loops = [n for n in loops if n + " " not in mounts]
    if loops:
        must_fail("not mounted", MOUNT, "-u", loops[-1])


tap.check("unmount: a block device that is not mounted", not_mounted)


def loop_races():
    """The first loop device that is free is given to somebody else at first."""
    put(tap.path("race.c"), b"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <linux/loop.h>
int ioctl(int fd, unsigned long request, ...)
{
	static int tried;

	if (request == LOOP_CTL_GET_FREE)
		return 0;
	if (request == LOOP_SET_FD && tried++ < 3) {
		errno = EBUSY;
		return -1;
	}
	return 0;
}
int open(const char *path, int flags, ...)
{
	return openat(AT_FDCWD, strncmp(path, "/dev/loop", 9) ? path : "/dev/null", flags, 0600);
}
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int mount(const char *s, const char *t, const char *type, unsigned long flags, const void *data)
{
	printf("mount %s\\n", s);
	return 0;
}
""")
    must("cc", "-shared", "-fPIC", "-o", tap.path("race.so"), tap.path("race.c"))
    put(tap.path("image"), b"x")
    said = must("env", "LD_PRELOAD=" + tap.path("race.so"), "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0", MOUNT,
                "-o", "loop", tap.path("image"), "/nothing")
    if "mount /dev/loop0" not in said:
        raise Wrong(said)


tap.check("several take the same loop device", loop_races)


def nbd(source, ask, want):
    """What is answered to requests of the kernel."""
    must("cc", "-shared", "-fPIC", "-o", tap.path("nbd.so"), os.path.join(os.path.dirname(os.path.abspath(__file__)), "nbd.c"))
    os.makedirs(tap.path("block/nbd0"))
    put(tap.path("source"), b"\1" * 1000)
    must("env", "LD_PRELOAD=" + tap.path("nbd.so"), "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0",
         "FAKE=" + tap.path("block"), "ASK=" + ask, MOUNT, "-t", "erofs.nbd", os.path.join(tap.path(""), source), "/nothing")
    for _ in range(1200):   # the one who answers is nobody's child any more
        if os.path.exists(tap.path("block/answers")) and os.path.getsize(tap.path("block/answers")):
            break
        time.sleep(0.1)
    said = get(tap.path("block/answers")).decode().splitlines()
    if said != want:
        raise Wrong(said)


tap.check("NBD: reads, and what is behind the end", nbd, "source", "0 0 4096,0 990 20",
          ["1: 4096 bytes, sum 125506", "2: 20 bytes, sum 55"])
tap.check("NBD: a request that is no read", nbd, "source", "1 0 512,0 0 1", ["1: error", "2: 1 bytes, sum 1"])
tap.check("NBD: a source that cannot be read", nbd, "/", "0 0 4096,0 0 512", ["1: error", "2: error"])


def title():
    """The arguments of a process that waits for a registry."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        at = f"127.0.0.1:{server.getsockname()[1]}/a/b"
        options = "oci.insecure,oci.layer=0,oci.username=u,oci.password=secret"
        with subprocess.Popen([MOUNT, "-t", "erofs.nbd", "-o", options, at, "/nothing"], stderr=subprocess.DEVNULL) as p:
            server.settimeout(60)
            waiting = server.accept()[0]
            with open(f"/proc/{p.pid}/cmdline", "rb") as cmdline:
                said = cmdline.read()
            p.kill()
            waiting.close()
    if b"secret" in said or b"oci.username=u" not in said:
        raise Wrong(said)


_, usage = run(MOUNT, "--help")
if "oci.layer" in usage:
    tap.check("a password stays in no arguments", title)
    for number in "x", "", "1x", "4294967297", "-1":
        tap.check(f"oci.layer={number}", must_fail, "layer", MOUNT, "-f", "-o", f"oci.layer={number}", "image", "/")


def same_version():
    if must(MOUNT, "-V").split()[-1] != must(DMABUF, "-V").split()[-1]:
        raise Wrong(must(DMABUF, "-V"))


DMABUF = os.path.join(os.path.dirname(MOUNT), "erofs-dmabuf")
if os.path.exists(DMABUF):
    tap.check("erofs-dmabuf knows its version", same_version)
tap.done()

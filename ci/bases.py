# SPDX-License-Identifier: GPL-2.0-or-later
"""Bases: what they are called, and where their sources come from.

A base is one file, kernel/NAME.base or erofs-utils/NAME.base; its fields are
described in Documentation/workflow.md.
"""
import fcntl
import glob
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("BUILD") or os.path.join(TOP, "build"))
# The folder of the base files, and the variable that chooses one of a kind.
KINDS = {"linux": ("kernel", "BASE"), "erofs-utils": ("erofs-utils", "UTILS_BASE")}
UNPACK_DEB = """dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards './usr/src/*.tar.xz' |
    tar -xJ --strip-components=1 -C "$2" "${@:3}" """


class SeriesError(Exception):
    """What is wrong and what to do, in one line."""


def say(text):
    """A line for the user."""
    print(f"series: {text}", file=sys.stderr)


def names(kind=None):
    """The names of all bases, or of those of one kind, in the order of their versions."""
    if kind and kind not in KINDS:
        raise SeriesError(f"no kind of base '{kind}'; there are: {' '.join(KINDS)}")
    found = []
    for folder, _ in [KINDS[kind]] if kind else KINDS.values():
        paths = glob.glob(os.path.join(TOP, folder, "*.base"))
        found += sorted((os.path.basename(path)[:-len(".base")] for path in paths),
                        key=lambda name: [int(word) if word.isdigit() else word
                                          for word in re.split(r"(\d+)", name)])
    return found


class Base:
    """One base, with the fields of its file as attributes in lower case."""

    def __init__(self, name):
        for folder, chooser in KINDS.values():
            path = os.path.join(TOP, folder, name + ".base")
            if os.path.isfile(path):
                break
        else:
            raise SeriesError(f"no base '{name}'; there are: {' '.join(names())}")
        with open(path, encoding="utf-8") as stream:
            fields = dict(word.split("=", 1) for word in shlex.split(stream.read(), comments=True))
        try:
            self.kind, self.title, self.codename = fields["KIND"], fields["TITLE"], fields["CODENAME"]
            self.package, self.package_type = fields["PACKAGE"], fields["PACKAGE_TYPE"]
            self.version, self.file, self.sha256 = fields["VERSION"], fields["FILE"], fields["SHA256"]
            self.override = fields["OVERRIDE"]
        except KeyError as error:
            raise SeriesError(f"{path} lacks {error.args[0]}; Documentation/workflow.md lists the fields") from None
        self.applies_to = fields.get("APPLIES_TO", self.codename).split()
        self.name = name
        self.folder = os.path.join(BUILD, name)
        self.tree = os.path.join(self.folder, "tree")
        self.patches = os.path.join(TOP, "patches", name)
        # LINUX_SRC= is for the base that BASE= names, where that is said.
        chosen = os.environ.get(chooser) in (None, "", name)
        self.own_source = os.environ.get(self.override) if chosen else None

    def upstream(self):
        """What upstream calls the version: the tag v6.12.117, say."""
        return "v" + self.version.rpartition("-")[0].replace("~rc", "-rc")

    def apt(self, codename, *words, **options):
        """ci/debian-apt, as a finished process."""
        return subprocess.run([os.path.join(TOP, "ci", "debian-apt"), codename, *words], check=False, **options)

    def versions(self):
        """(codename, version) of the package in each release the series is for, newest first."""
        index = "Packages" if self.package_type == "binary" else "Sources"
        found = set()
        for codename in self.applies_to:
            files = self.apt(codename, "indextargets", "--format", "$(FILENAME)", f"Created-By: {index}",
                             stdout=subprocess.PIPE, text=True)
            if files.returncode:
                raise SeriesError(f"{self.name}: no package lists of {codename}; is there a network?")
            for path in files.stdout.split():
                text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], check=True,
                                      stdout=subprocess.PIPE, text=True, errors="replace").stdout
                for entry in text.split("\n\n"):
                    if re.search(rf"^Package: {re.escape(self.package)}$", entry, re.MULTILINE):
                        found.update((codename, version) for version in
                                     re.findall(r"^Version: (\S+)", entry, re.MULTILINE))
        lines = "\n".join(f"{codename} {version}" for codename, version in found)
        out = subprocess.run(["sort", "-k2,2V", "-k1,1"], input=lines, stdout=subprocess.PIPE, text=True, check=True)
        return [tuple(line.split()) for line in reversed(out.stdout.splitlines())]

    def source(self):
        """The file or folder that the tree is made of, and how a base-commit line calls it."""
        if not self.own_source:
            return self.fetch(), f"{self.upstream()} ({self.package} {self.version})"
        if not os.path.exists(self.own_source):
            raise SeriesError(f"{self.override}={self.own_source} does not exist")
        say(f"using {self.override}={self.own_source} instead of Debian's {self.package} {self.version}")
        path = os.path.realpath(self.own_source)
        commit = is_git_tree(path) and subprocess.run(
            ["git", "-C", path, "log", "-1", "--format=%H (%s)"], stdout=subprocess.PIPE, text=True, check=True)
        return path, commit.stdout.strip() if commit else os.path.basename(path)

    def fetch(self, version=None, codename=None):
        """Fetch the package, unless it is there; return the file."""
        version, codename = version or self.version, codename or self.codename
        name = self.file.replace(self.version, version)
        if name == self.file:
            name = self.file.replace(self.version.split("-")[0], version.split("-")[0])
        cache = os.path.join(BUILD, "cache")
        path, log = os.path.join(cache, name), os.path.join(cache, "log")
        if not os.path.exists(path):
            say(f"fetching {self.package} {version} from Debian {codename}")
            if not self._download(version, codename, log):
                if version != self.version:
                    raise SeriesError(f"cannot fetch {self.package} {version} (see {log})")
                return self._newest(codename, log)
            if not os.path.exists(path):
                raise SeriesError(f"fetched {self.package} {version}, but it is not {path}; "
                                  f"correct FILE in {self.name}.base")
        if version == self.version:
            self._check_sum(path)
        return path

    def _download(self, version, codename, log):
        words = ["download"] if self.package_type == "binary" else ["source", "--download-only"]
        os.makedirs(os.path.dirname(log), exist_ok=True)
        with open(os.path.join(BUILD, "cache", "lock"), "w", encoding="ascii") as lock, \
                open(log, "w", encoding="utf-8") as stream:
            lock_file(lock)
            return not self.apt(codename, *words, f"{self.package}={version}", cwd=os.path.dirname(log),
                                stdout=stream, stderr=stream).returncode

    def _newest(self, codename, log):
        """The pinned version is gone: the newest one of the same series."""
        try:
            found = [version for name, version in self.versions() if name == codename]
        except SeriesError:
            found = []
        if not found or found[0] == self.version:
            raise SeriesError(f"cannot fetch {self.package} {self.version} (see {log}); is there a network? "
                              f"{self.override}= takes sources of your own")
        say(f"{self.package} {self.version} is gone; going on with {found[0]}, the newest of its series. "
            f"Pin it in {self.name}.base.")
        return self.fetch(found[0])

    def _check_sum(self, path):
        have = hashlib.sha256()
        with open(path, "rb") as stream:
            while block := stream.read(1 << 20):
                have.update(block)
        if have.hexdigest() != self.sha256:
            raise SeriesError(f"{path} has checksum {have.hexdigest()}, but {self.name}.base says {self.sha256}; "
                              "remove the file and try again, or correct SHA256 if you changed VERSION on purpose")


def lock_file(stream):
    """Wait until nobody else has the file locked."""
    fcntl.flock(stream, fcntl.LOCK_EX)


def is_git_tree(path):
    """Is this the top of a git tree?"""
    out = subprocess.run(["git", "-C", path, "rev-parse", "--show-toplevel"], check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) \
        if os.path.isdir(path) else None
    return bool(out) and out.returncode == 0 and out.stdout.strip() == os.path.realpath(path)


def unpack(source, folder, members=()):
    """Unpack `source`, as fetch() returned it, to the new `folder`; only `members` if there are any."""
    # Members that an older release lacks are no error: its series creates them.
    only = ["--wildcards", "--no-wildcards-match-slash", "--ignore-failed-read"] if members else []
    only += ["*/" + member for member in members]
    part, log = folder + ".tmp", folder + ".log"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    try:
        if is_git_tree(source):
            command = ["bash", "-o", "pipefail", "-c", 'git -C "$1" archive HEAD | tar -x -C "$2"', "-", source, part]
        elif os.path.isdir(source):
            command = ["cp", "-a", source + "/.", part]
        elif source.endswith(".deb"):
            command = ["bash", "-o", "pipefail", "-c", UNPACK_DEB, "-", source, part, *only]
        else:
            command = ["tar", "-xf", source, "--strip-components=1", "-C", part, *only]
        with open(log, "w", encoding="utf-8") as stream:
            failed = subprocess.run(command, stderr=stream, check=False).returncode
        if failed and not members:
            raise SeriesError(f"cannot unpack {source} (see {log})")
        os.remove(log)
        if not os.listdir(part):
            raise SeriesError(f"{source} holds no sources")
        os.rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)

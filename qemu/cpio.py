# SPDX-License-Identifier: GPL-2.0-or-later
"""Write initramfs archives: cpio in the "newc" format.

The format is that of the kernel's Documentation/driver-api/early-userspace/
buffer-format.rst: a header of 110 ASCII characters, the name with its NUL, the
data, each padded to 4 bytes.  The kernel unpacks several archives one after the
other; a later file replaces an earlier one of the same name.
"""
import os
import stat


class Archive:
    """An archive in memory; bytes() of it is what the kernel reads."""

    def __init__(self):
        self._data = bytearray()
        self._ino = 0
        self._folders = set()

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        raw = os.fsencode(name) + b"\0"
        self._ino += 1
        fields = (self._ino, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0,
                  len(data), 0, 0, rdev[0], rdev[1], len(raw), 0)
        self._data += b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        self._data += b"\0" * (-len(self._data) % 4)
        self._data += data
        self._data += b"\0" * (-len(self._data) % 4)

    def folder(self, path):
        """Add a folder, and those above it, unless they are there already."""
        path = path.strip("/")
        if path and path not in self._folders:
            self.folder(os.path.dirname(path))
            self._folders.add(path)
            self._entry(path, stat.S_IFDIR | 0o755)

    def file(self, path, data, mode=0o644):
        """Add a regular file with its content as bytes."""
        path = path.strip("/")
        self.folder(os.path.dirname(path))
        self._entry(path, stat.S_IFREG | mode, data)

    def copy(self, source, path):
        """Add a file of the host, with its permissions; raises OSError."""
        with open(source, "rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            self.file(path, stream.read(), mode | 0o444)

    def symlink(self, path, target):
        """Add a symbolic link."""
        path = path.strip("/")
        self.folder(os.path.dirname(path))
        self._entry(path, stat.S_IFLNK | 0o777, os.fsencode(target))

    def character_device(self, path, major, minor):
        """Add a character device node; it takes no privilege to write one."""
        path = path.strip("/")
        self.folder(os.path.dirname(path))
        self._entry(path, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def __bytes__(self):
        """The archive with its trailer."""
        keep = len(self._data)
        self._entry("TRAILER!!!", 0)
        data = bytes(self._data)
        del self._data[keep:]
        return data

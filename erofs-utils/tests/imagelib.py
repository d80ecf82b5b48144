# SPDX-License-Identifier: GPL-2.0-or-later
"""Change fields of small images, by the on-disk format alone.  Data and directories are not compressed."""
import struct

SB = 1024
# offsets in the superblock
COMPAT, ROOT, FIXED_NSEC, META, XATTR, VOLUME = SB + 8, SB + 14, SB + 32, SB + 40, SB + 44, SB + 64
INCOMPAT, DEVT, DIRBLKBITS, PREFIXES, PACKED, METABOX = SB + 80, SB + 88, SB + 90, SB + 92, SB + 96, SB + 128
FRAGMENTS, METABOX_BIT = 0x20, 0x100
PLAIN, FULL, INLINE, CHUNK = 0, 1, 2, 4


class Inode:
    def __init__(self, image, nid):
        self.nid, self.at = nid, image.get("I", META) * image.block + nid * 32
        self.format, self.icount, self.mode = struct.unpack_from("<HHH", image.data, self.at)
        self.extended = self.format & 1
        self.xattrs = self.at + (64 if self.extended else 32)
        self.end = self.xattrs + (12 + 4 * (self.icount - 1) if self.icount else 0)
        self.header = (self.end + 7) & ~7       # of compressed files
        self.layout = self.format >> 1 & 7
        self.size_at, self.u_at = self.at + 8, self.at + 16
        self.size = image.get("Q" if self.extended else "I", self.size_at)
        self.block = image.get("I", self.u_at)


class Image:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = bytearray(f.read())
        self.path, self.block = path, 1 << self.data[SB + 12]

    def get(self, fmt, at):
        return struct.unpack_from("<" + fmt, self.data, at)[0]

    def put(self, fmt, at, value):
        struct.pack_into("<" + fmt, self.data, at, value)

    def write(self, at, data):
        self.data[at:at + len(data)] = data

    def set_bits(self, at, bits):
        self.put("I", at, self.get("I", at) | bits)

    def clear_bits(self, at, bits):
        self.put("I", at, self.get("I", at) & ~bits)

    def set_layout(self, inode, layout):
        self.put("H", inode.at, inode.format & ~0xe | layout << 1)

    def entries(self, nid):
        """(name, nid, position of the entry, position of the block) in their order."""
        inode, found = Inode(self, nid), []
        for pos in range(0, inode.size, self.block):
            at = inode.block * self.block + pos
            if inode.layout == INLINE and pos + self.block > inode.size:
                at = inode.end
            size = min(self.block, inode.size - pos)
            count = self.get("H", at + 8) // 12
            offsets = [self.get("H", at + 12 * i + 8) for i in range(count)] + [size]
            for i in range(count):
                name = bytes(self.data[at + offsets[i]:at + offsets[i + 1]]).split(b"\0")[0]
                found.append((name.decode(), self.get("Q", at + 12 * i), at + 12 * i, at))
        return found

    def entry(self, path):
        """Position of an entry, and the nid that it has."""
        nid, at = self.get("H", ROOT), None
        for part in path.split("/"):
            nid, at = {n: (nid, at) for n, nid, at, _ in self.entries(nid)}[part]
        return at, nid

    def inode(self, path):
        return Inode(self, self.entry(path)[1] if path else self.get("H", ROOT))

    def xattrs(self, inode):
        """Positions of the xattr entries in the inode itself."""
        at, found = inode.xattrs + 12 + 4 * self.data[inode.xattrs + 4], []
        while inode.icount and at < inode.end:
            found.append(at)
            at += 4 + self.data[at] + self.get("H", at + 2) + 3 & ~3
        return found

    def set_digest(self, inode, digest):
        """Put another SHA-256 in place of that of the file."""
        at = next(at for at in self.xattrs(inode) if self.data[at + 1] & 0x80)
        at += 4 + self.data[at]
        assert self.data[at:at + 7] == b"sha256:"
        self.write(at + 7, digest)

    def save(self, path=None):
        # The checksum is a compatible feature: switched off, it is not looked at.
        self.clear_bits(COMPAT, 1)
        with open(path or self.path, "wb") as f:
            f.write(self.data)

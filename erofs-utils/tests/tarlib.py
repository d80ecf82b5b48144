# SPDX-License-Identifier: GPL-2.0-or-later
"""Build tar archives byte by byte, right and wrong ones."""


def num(value, width):
    """A field of an octal number; bytes are taken as they are."""
    if isinstance(value, bytes):
        return value.ljust(width, b"\0")[:width]
    return b"%0*o\0" % (width - 1, value)


def base256(value, width):
    return bytes([0xff if value < 0 else 0x80]) + value.to_bytes(width - 1, "big", signed=value < 0)


def header(name, type=b"0", size=0, mode=0o644, uid=0, gid=0, mtime=1000000000, link=b"",
           magic=b"ustar\0" + b"00", major=0, minor=0, prefix=b"", tail=None):
    """One header of 512 bytes, with the right checksum; TAIL replaces all from byte 345."""
    if isinstance(name, str):
        name = name.encode()
    if isinstance(link, str):
        link = link.encode()
    dev = (major, minor) if type in (b"3", b"4") else (b"", b"")
    h = (name.ljust(100, b"\0")[:100] + num(mode, 8) + num(uid, 8) + num(gid, 8) + num(size, 12) +
         num(mtime, 12) + b" " * 8 + type + link.ljust(100, b"\0")[:100] + magic.ljust(8, b"\0") +
         b"\0" * 64 + num(dev[0], 8) + num(dev[1], 8))
    h = (h + (prefix if tail is None else tail)).ljust(512, b"\0")
    assert len(h) == 512
    return h[:148] + b"%06o\0 " % sum(h) + h[156:]


def pad(data):
    return data + b"\0" * (-len(data) % 512)


def file(name, data=b"", **kw):
    kw.setdefault("size", len(data))
    return header(name, **kw) + pad(data)


def record(key, value):
    """A record of a PAX header: "LEN KEY=VALUE\n", LEN counting itself."""
    if isinstance(value, str):
        value = value.encode()
    body = b" " + key.encode() + b"=" + value + b"\n"
    n = len(body)
    while len(str(n)) + len(body) != n:
        n = len(str(n)) + len(body)
    return str(n).encode() + body


def pax(records, type=b"x"):
    data = records if isinstance(records, bytes) else b"".join(record(k, v) for k, v in records)
    return file("PaxHeaders/x", data, type=type)


def longname(name, type=b"L"):
    return file("././@LongLink", name.encode() + b"\0", type=type, magic=b"ustar  \0")


def archive(*parts):
    return b"".join(parts) + bytes(1024)

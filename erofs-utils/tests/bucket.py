#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A server of S3 that tells lies: bucket.py MODE. Prints its port, and serves until it is killed.
bucket.py --expect DIR writes the files that an image of the bucket has."""
import base64
import hashlib
import hmac
import os
import re
import socket
import sys
import threading
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

import lies

ACCESS, SECRET, REGION = "who", "secret", "nowhere-1"
TIME = "2026-01-02T03:04:05.250Z"
MODES = ("good", "marked", "emptypage", "numbers",                      # lists in parts
         "noetags", "weak",                                             # entity tags that tell nothing, or not as they should
         "signed2", "signed4",                                          # wants a signature
         "nokey", "emptykey", "nosize", "badsize", "hugesize",          # not a list of objects
         "badtime", "notruncated", "nobool", "twobools", "stuck", "alternate", "doctype", "noxml", "nothing", "endless", "refused",
         "dots", "dot", "twice", "both", "toolong", "longname",         # no names of files
         "below", "turns", "dirdata",                                   # no directories
         "short", "long", "cut", "ftp", "forbidden", "partial",         # not the object that is listed
         "part", "hole", "other", "all", "nolength",                    # not the range that was asked for
         "replaced")                                                    # an object that is another one by now

KEYS = ["a b&c#d+e%f?g=h/\u00fc", "dir/", "dir/sub/file", "dir/sub/~!*'()@$,;:", "empty",
        "/".join(["\u00e4" * 100] * 5), "plain"]
ODD = {"dots": "x/../../other/secret", "dot": "x/./y", "toolong": "k/" * 1400, "longname": "n" * 256}


def content(key):
    """The object of that key: 5,000 bytes or more, unless it is a directory."""
    if key == "empty" or (key.endswith("/") and MODE != "dirdata"):
        return b""
    return (hashlib.sha256(key.encode()).digest() * 200)[:5000 + len(key)]


def keys():
    """What the bucket has, in the order of S3, unless that is the lie."""
    if MODE in ODD:
        return sorted(KEYS + [ODD[MODE]])
    if MODE == "twice":
        return sorted(KEYS + KEYS[:1])
    if MODE == "both":
        return sorted(KEYS) + ["dir"]
    if MODE == "below":
        return sorted(KEYS + ["empty/x/y"])
    return sorted(KEYS)


def etag(key):
    """The entity tag of an object, with quotes."""
    return f'"{hashlib.md5(content(key)).hexdigest()}"'


def listed(key):
    """What a list says of one object."""
    size = {"badsize": "12x", "hugesize": "9223372036854775808"}.get(MODE, str(len(content(key))))
    said = f"<Key>{'' if MODE == 'emptykey' else escape(key)}</Key>" if MODE != "nokey" else ""
    said += f"<LastModified>{'yesterday' if MODE == 'badtime' else TIME}</LastModified>"
    if MODE != "noetags":
        said += f"<ETag>{escape(etag(key)[1:-1] if MODE == 'weak' else etag(key))}</ETag>"
    return f"<Contents>{said}{'' if MODE == 'nosize' else f'<Size>{size}</Size>'}</Contents>"


def part_of_list(asked):
    """Two objects at a time, which follow the marker."""
    if MODE == "noxml":
        return b"no list"
    if MODE == "nothing":
        return b""
    marker = asked.get("marker", "")
    left = [k for k in keys() if k.startswith(asked.get("prefix", "")) and (k > marker or MODE in ("both", "stuck"))]
    now = left if MODE == "both" else left[:2]
    more = len(left) > len(now)
    if MODE == "emptypage" and not marker:
        now, more = [], True
    said = "".join(listed(k) for k in now)
    if MODE == "alternate":
        return (f"<?xml version=\"1.0\"?>\n<ListBucketResult><IsTruncated>true</IsTruncated><NextMarker>{'b' if marker == 'a' else 'a'}"
                "</NextMarker></ListBucketResult>").encode()
    if MODE == "turns":
        return (f"<?xml version=\"1.0\"?>\n<ListBucketResult>{listed('dir/')}<IsTruncated>true</IsTruncated>"
                f"<NextMarker>{'b' if marker == 'a' else 'a'}</NextMarker></ListBucketResult>").encode()
    if MODE == "doctype":
        name = "&a;" * 1000
        return (f'<?xml version="1.0"?>\n<!DOCTYPE z [<!ENTITY a "{"a" * 10000}">]><ListBucketResult><Contents><Key>{name}</Key>'
                f"<Size>1</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>").encode()
    if MODE in ("marked", "emptypage") and more:
        said += f"<NextMarker>{escape(now[-1] if now else '!')}</NextMarker>"
    if MODE != "notruncated":
        words = {"numbers": "01", "nobool": ("False", "True")}.get(MODE, ("false", "true"))
        said += f"<IsTruncated>{words[more]}</IsTruncated>"
    if MODE == "twobools":
        said += "<IsTruncated>false</IsTruncated>"
    return f'<?xml version="1.0"?>\n<ListBucketResult>\n{said}</ListBucketResult>'.encode()


def signature(handler, bucket_in_host):
    """What the Authorization of a request has to be, made from what was decoded, as servers do."""
    url = urlsplit(handler.path)
    if MODE == "signed2":
        resource = ("/bucket" if bucket_in_host else "") + url.path
        text = f"{handler.command}\n\n\n{handler.headers['Date']}\n{resource}"
        made = hmac.new(SECRET.encode(), text.encode(), hashlib.sha1).digest()
        return f"AWS {ACCESS}:{base64.b64encode(made).decode()}"
    date = handler.headers["x-amz-date"]
    query = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}"
                     for k, v in sorted(parse_qsl(url.query, keep_blank_values=True)))
    scope = f"{date[:8]}/{REGION}/s3/aws4_request"
    names = "host;x-amz-content-sha256;x-amz-date"
    heads = "".join(f"{n}:{handler.headers[n]}\n" for n in names.split(";"))
    request = "\n".join((handler.command, quote(unquote(url.path), safe="-_.~/"), query, heads, names, "UNSIGNED-PAYLOAD"))
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for word in (date[:8], REGION, "s3", "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    made = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return f"AWS4-HMAC-SHA256 Credential={ACCESS}/{scope}, SignedHeaders={names}, Signature={made}"


class Bucket(lies.Liar):
    """As much of the protocol as erofs-utils use."""

    def do_HEAD(self):  # pylint: disable=invalid-name
        """How large an object is."""
        self.do_GET()

    def do_GET(self):   # pylint: disable=invalid-name
        """A list or an object."""
        url = urlsplit(self.path)
        in_host = self.headers["Host"].startswith("bucket.")
        name = unquote(url.path) if in_host else unquote(url.path)[len("/bucket"):]
        if MODE in ("signed2", "signed4") and self.headers["Authorization"] != signature(self, in_host):
            self.answer(b"", 403)
        elif not in_host and not url.path.startswith("/bucket"):
            self.answer(b"", 404)
        elif name in ("", "/"):
            self.send_list(dict(parse_qsl(url.query)))
        elif name[1:] in keys():
            self.send_object(content(name[1:]), etag(name[1:]))
        else:
            self.answer(b"", 404)

    def send_list(self, asked):
        """A part of the list, or what is none."""
        if MODE == "refused":
            self.answer(b"", 403)
        elif MODE == "endless":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b"<x/>" * (1 << 18))
        else:
            self.answer(part_of_list(asked))

    def send_object(self, data, tag):
        """An object, or a range of one."""
        if MODE == "replaced" and self.command == "GET":
            data, tag = data[::-1], tag[::-1]
        tags = {"noetags": [], "weak": [("etag", f"W/{tag}")]}.get(MODE, [("ETag", tag)])
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
        if MODE == "forbidden":
            self.answer(b"<Error>" + b"no " * 10000 + b"</Error>", 403)
        elif MODE == "ftp":
            self.answer(b"", 302, headers=[("Location", f"ftp://127.0.0.1:{other.getsockname()[1]}/x")])
        elif self.command == "HEAD" or not asked or MODE == "all":
            data = {"short": data[:-1], "long": data + b"x"}.get(MODE, data)
            self.answer(data[:100] if MODE == "cut" else data, 206 if MODE == "partial" else 200,
                        length={"cut": len(data), "nolength": -1}.get(MODE), headers=tags)
        else:
            first, last = (int(n) for n in asked.groups())
            if MODE == "other":
                first, last = 0, last - first
            sent = data[first:min(last, first + 6) + 1 if MODE == "part" else last + 1]
            self.answer(b"" if MODE == "hole" else sent, 206,
                        headers=tags + [("Content-Range", f"bytes {first}-{first + len(sent) - 1}/{len(data)}")])


def expect(top):
    """Write what an image of the bucket has."""
    for key in KEYS:
        path = os.path.join(top, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not key.endswith("/"):
            with open(path, "wb") as out:
                out.write(content(key))


def tell():
    """Say it if somebody comes to the other port."""
    while True:
        other.accept()[0].close()
        print("told", flush=True)


if sys.argv[1] == "--expect":
    expect(sys.argv[2])
    sys.exit()
MODE = sys.argv[1]
lies.check(MODE, MODES)
other = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=tell, daemon=True).start()
lies.make(Bucket).serve_forever()

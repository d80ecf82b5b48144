#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A registry that tells lies: registry.py MODE. Prints its port, and serves until it is killed.
registry.py MODE --digest prints by which digest the image can be asked for.
registry.py layers TAR... serves an image of these layers, the lowest first."""
import gzip
import hashlib
import http.server
import io
import json
import os
import sys
import tarfile
import threading

import lies

MODES = ("good", "nullmedia", "notoken", "nulltoken",           # lies that do no harm
         "list", "otherlist",                                   # a list of manifests, right and wrong
         "evil", "short", "empty",                              # not the blob that was asked for
         "pathdigest", "pathlist",                              # digests that are paths
         "nulldigest", "manifests", "nullmanifest", "endless",  # not a manifest
         "big",                                                 # more than the range that was asked for
         "part", "hole", "nosize",                              # less than that, nothing, and no size in the manifest
         "basic", "nomanifesttype",                             # no lies: asks for a password, leaves out mediaType
         "novariant", "othervariant",                           # a list for arm64, and for arm64/v9
         "gopher",                                              # has its tokens where HTTP is not spoken
         "broken",                                              # a tarball that ends in the middle
         "zstd", "dockerzstd",                                  # layers that say they are by zstd
         "layers",                                              # an image of several layers
         "token-space", "token-query", "token-lower",           # no lies: ways to say where tokens are to be had
         "token-second", "token-plain",
         "token-refused", "token-expires",                      # not for this password; for one blob only
         "nothing", "toomany",                                  # errors for whatever is asked for
         "endless-layer", "flood",                              # more than the manifest says, or than was asked for
         "otherrange", "norange", "blanks",                     # another range, nobody knows which, and that one
         "encoded-if",                                          # no lie: compresses once more if it may
         "elsewhere", "plainly")                                # has its blobs at another URL, at one without TLS
MODE = sys.argv[1]
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
TAR_TYPE = "application/vnd.oci.image.layer.v1.tar"
TYPES = {"zstd": TAR_TYPE + "+zstd", "dockerzstd": "application/vnd.docker.image.rootfs.diff.tar.zstd"}


def layer(name):
    """A compressed tarball of one file that holds its own name."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(name) + 1
        tar.addfile(member, io.BytesIO(f"{name}\n".encode()))
    return gzip.compress(archive.getvalue(), mtime=0)


def digest_of(data):
    """What OCI names data by."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


GOOD, EVIL = layer("good"), layer("evil")
if MODE == "broken":
    GOOD = gzip.compress(gzip.decompress(GOOD)[:1024] + b"x" * 2048, mtime=0)


LAYERS = {}
if MODE == "layers":
    for path in sys.argv[2:]:
        with open(path, "rb") as stream:
            data = gzip.compress(stream.read(), mtime=0)
        LAYERS[digest_of(data)] = data


def manifest():
    """The manifest of one layer, as the mode has it, or of all that were given."""
    described = {"mediaType": TYPES.get(MODE, "x"), "digest": digest_of(GOOD), "size": len(GOOD)}
    if MODE == "nulldigest":
        described["digest"] = None
    if MODE == "pathdigest":
        described["digest"] = "sha256:../victim"
    if MODE == "nullmedia":
        described["mediaType"] = None
    if MODE == "nosize":
        del described["size"]
    layers = [{"mediaType": TAR_TYPE + "+gzip", "digest": digest, "size": len(data)} for digest, data in LAYERS.items()]
    said = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": layers or [described]}
    if MODE == "nomanifesttype":
        del said["mediaType"]
    return json.dumps(said).encode()


def tagged():
    """What the tag names: a manifest, or a list of them."""
    platform = {"architecture": "amd64", "os": "linux"}
    if MODE == "manifests":
        manifests = {"a": 1}
    elif MODE == "nullmanifest":
        manifests = [{"platform": platform, "digest": None}]
    elif MODE == "list":
        manifests = [{"platform": platform, "digest": digest_of(manifest())}]
    elif MODE == "novariant":
        manifests = [{"platform": {"architecture": "arm64", "os": "linux"}, "digest": digest_of(manifest())}]
    elif MODE == "othervariant":
        manifests = [{"platform": {"architecture": "arm64", "os": "linux", "variant": "v9"}, "digest": digest_of(manifest())}]
    elif MODE == "pathlist":
        manifests = [{"platform": platform, "digest": "sha256:../victim"}]
    elif MODE == "otherlist":
        manifests = [{"platform": platform, "digest": digest_of(EVIL)}]
    else:
        return manifest()
    return json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()


class Registry(lies.Liar):
    """As much of the protocol as mkfs.erofs uses."""

    token, blobs = 0, 0     # how many there were, and what the last one was used for

    def challenge(self):
        """Say where tokens are to be had."""
        realm = f"http://127.0.0.1:{(plain if MODE == 'token-plain' else server).server_address[1]}/token" + ("?account=u" if MODE == "token-query" else "")
        scheme = "bearer" if MODE == "token-lower" else "Bearer"
        service = "A registry" if MODE == "token-space" else "s"
        headers = [("WWW-Authenticate", f'{scheme} realm="{realm}",service="{service}"')]
        if MODE == "token-second":
            headers.insert(0, ("WWW-Authenticate", 'Basic realm="r"'))
        self.answer(b'{"errors": []}', 401, headers=headers)

    def wants_token(self):
        """Give a token, or ask for one, in modes that have any."""
        if not MODE.startswith("token-"):
            return False
        if self.path.startswith("/token?"):
            if MODE == "token-plain":
                print("told", flush=True)
            if MODE == "token-refused":
                self.answer(b"{}", 401)
            elif self.path.count("?") == 1:
                Registry.token, Registry.blobs = Registry.token + 1, 0
                self.answer(json.dumps({"token": f"t{Registry.token}"}).encode())
            else:
                self.answer(b"", 400)
            return True
        Registry.blobs += "/blobs/" in self.path
        if self.headers.get("Authorization") == f"Bearer t{Registry.token}" and (MODE != "token-expires" or Registry.blobs < 2):
            return False
        self.challenge()
        return True

    def do_HEAD(self):  # pylint: disable=invalid-name
        """Nothing is known in advance, or where tokens are to be had."""
        if self.wants_token():
            return
        if MODE != "gopher":
            self.answer(b"", 404)
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", f'Bearer realm="gopher://127.0.0.1:{server.server_address[1]}/'
                         '_GET%20/told%20HTTP/1.0%0d%0a%0d%0a#",service="s"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_CONNECT(self):   # pylint: disable=invalid-name
        """Say which host a proxy is asked for."""
        print(self.path, flush=True)
        self.answer(b"", 403)

    def do_GET(self):   # pylint: disable=invalid-name
        """A manifest, a blob or a token."""
        if self.wants_token():
            return
        if MODE in ("nothing", "toomany"):
            self.answer(b'{"errors": []}', 404 if MODE == "nothing" else 429)
            return
        if self.path == "/told":
            print("told", flush=True)
        if MODE == "basic" and self.headers.get("Authorization") != "Basic dTpw":   # u:p
            self.answer(b"", 401)
            return
        if "/manifests/" in self.path:
            if MODE == "endless":
                self.send_response(200)
                self.end_headers()
                while True:
                    self.wfile.write(b" " * (1 << 20))
            listed = "/sha256:" in self.path and not self.path.endswith(digest_of(tagged()))
            self.answer(manifest() if listed else tagged())
        elif MODE in ("elsewhere", "plainly") and "/blobs/" in self.path:
            to = (plain if MODE == "plainly" else server).server_address[1]
            scheme = "https" if MODE == "elsewhere" and os.environ.get("LIES_TLS") else "http"
            self.answer(b"", 307, headers=[("Location", f"{scheme}://127.0.0.1:{to}/stored/blobs?x")])
        elif "/blobs" in self.path:
            asked = self.headers.get("Range")
            if MODE == "endless-layer":
                self.send_response(200)
                self.end_headers()
                for _ in range(200):
                    self.wfile.write(bytes(1 << 20))
                self.close_connection = True
                return
            if MODE == "encoded-if" and "identity" not in self.headers.get("Accept-Encoding", ""):
                self.answer(gzip.compress(GOOD), headers=[("Content-Encoding", "gzip")])
                return
            if asked and MODE == "otherrange":
                self.answer(GOOD[:20], 206, headers=[("Content-Range", f"bytes 0-19/{len(GOOD)}")])
                return
            if asked and MODE in ("part", "hole", "norange", "blanks", "flood"):
                first, last = (int(n) for n in asked.split("=")[1].split("-"))
                sent = b"" if MODE == "hole" else GOOD[first:min(last + 1, first + 7)]
                header = [("Content-Range", f"{'    ' if MODE == 'blanks' else ''}bytes {first}-{last}/{len(GOOD)}")]
                self.answer(sent * (1 << 23 if MODE == "flood" else 1), 206, headers=header if MODE != "norange" else [])
                return
            if MODE == "layers":
                self.answer(LAYERS[self.path.rsplit("/", 1)[1]])
                return
            blob = {"evil": EVIL, "short": GOOD[:-9], "empty": b"", "big": b"A" * 100000}.get(MODE, GOOD)
            self.answer(blob, 206 if MODE == "big" else 200, -1 if MODE == "short" else None,
                        headers=[("Content-Range", f"bytes 0-19/{len(blob)}")] if MODE == "big" else [])
        elif MODE == "notoken":
            self.answer(b"[]")
        elif MODE == "nulltoken":
            self.answer(b'{"token": null}')
        else:
            self.answer(b"", 404)


lies.check(MODE, MODES)
if sys.argv[2:] == ["--digest"]:
    print(digest_of(tagged()))
    sys.exit()
server = lies.make(Registry)
if MODE in ("plainly", "token-plain"):
    plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=plain.serve_forever, daemon=True).start()
server.serve_forever()

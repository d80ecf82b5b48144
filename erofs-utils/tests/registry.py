#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A registry that lies: registry.py MODE, prints its port."""
import http.server, sys, json, hashlib, io, tarfile, gzip, socketserver
mode = sys.argv[1]
def tar(name, data):
    b = io.BytesIO(); t = tarfile.open(fileobj=b, mode="w:gz"); ti = tarfile.TarInfo(name); ti.size = len(data); t.addfile(ti, io.BytesIO(data)); t.close(); return b.getvalue()
good = tar("good", b"good\n"); evil = tar("evil", b"evil\n")
dg = "sha256:" + hashlib.sha256(good).hexdigest()
man = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [{"mediaType": "x", "digest": dg, "size": len(good)}]}
if mode == "nulldigest": man["layers"][0]["digest"] = None
if mode == "nullmedia": man["layers"][0]["mediaType"] = None
if mode == "manifests": man = {"schemaVersion": 2, "manifests": {"a": 1}}
if mode == "manifests2": man = {"schemaVersion": 2, "manifests": [{"platform": {"architecture": "amd64", "os": "linux"}, "digest": None}]}
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def do_HEAD(self): self.out(404, b"")
    def out(self, code, body, close=False):
        self.send_response(code)
        if not close: self.send_header("Content-Length", str(len(body)))
        else: self.send_header("Connection", "close"); self.close_connection = True
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(body)
    def do_GET(self):
        if "/manifests/" in self.path:
            if mode == "endless":
                self.send_response(200); self.end_headers()
                while True: self.wfile.write(b" " * (1 << 20))
            return self.out(200, json.dumps(man).encode())
        if "/blobs/" in self.path:
            if mode == "evil": return self.out(200, evil)
            if mode == "short": return self.out(200, good[:-9], close=True)
            if mode == "big": return self.out(206, b"A" * 100000)
            if mode == "empty": return self.out(200, b"")
            return self.out(200, good)
        if mode == "notoken": return self.out(200, b'[]')
        if mode == "nulltoken": return self.out(200, b'{"token":null}')
        self.out(404, b"")
class S(socketserver.ThreadingMixIn, http.server.HTTPServer): daemon_threads = True
s = S(("127.0.0.1", 0), H)
print(s.server_address[1], flush=True)
s.serve_forever()

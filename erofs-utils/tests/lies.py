# SPDX-License-Identifier: GPL-2.0-or-later
"""What servers that tell lies have in common; registry.py and bucket.py say which lies."""
import http.server
import os
import ssl
import sys


class Liar(http.server.BaseHTTPRequestHandler):
    """Answers requests, and says nothing of them."""
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):   # pylint: disable=redefined-builtin
        """Say nothing."""

    def answer(self, body, code=200, length=None, headers=()):
        """Send body, and say its length, or another one, or nothing of it if length is -1."""
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        if length is None or length >= 0:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        if length is not None:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def check(mode, modes):
    """End if there is no such mode."""
    if mode not in modes:
        sys.exit(f"{sys.argv[0]}: '{mode}' is none of: {', '.join(modes)}")


def make(handler):
    """A server for handler, whose port is told already; it serves by serve_forever(). LIES_TLS is the path of its
    certificate and key, if it speaks TLS."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if os.environ.get("LIES_TLS"):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(os.environ["LIES_TLS"])
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    return server

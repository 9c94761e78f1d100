"""A server that answers every request over TLS, with a certificate of the test's choice."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Ignore handshakes that clients end."""


@contextmanager
def answering_server(context: ssl.SSLContext | None) -> Iterator[int]:
    """Yield the port of a server on the loopback; None for plain HTTP."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        if context is not None:
            # Without, a handshake in accept() would keep the server from its end.
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()

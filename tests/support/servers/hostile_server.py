"""A server that answers without end, in bytes or in time, at each step of a request."""

from __future__ import annotations

import gzip
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

#: Seconds between two bytes: shorter than any time-out of one read.
_PAUSE_S = 0.1
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_BOMB = gzip.compress(bytes(1 << 24))
_BODY = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def _once(content: bytes) -> Iterator[bytes]:
    yield _HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content


#: What is sent, by name, and whether with pauses between the parts.
_ANSWERS: dict[str, tuple[bool, Callable[[], Iterator[bytes]]]] = {
    "silent": (True, lambda: itertools.repeat(b"")),
    "endless": (False, lambda: itertools.chain([_BODY], itertools.repeat(_chunk(b" " * 65536)))),
    "trickled body": (True, lambda: itertools.chain([_BODY], itertools.repeat(_chunk(b" ")))),
    "trickled status": (True, lambda: itertools.chain([b"HTTP/1.1 2"], itertools.repeat(b"0"))),
    "trickled header": (True, lambda: itertools.chain([_HEAD, b"A: "], itertools.repeat(b"a"))),
    "endless header": (
        False,
        lambda: itertools.chain([_HEAD, b"A: "], itertools.repeat(b"a" * 65536)),
    ),
    "trickled headers": (
        True,
        lambda: itertools.chain([_HEAD], (b"A%d: a\r\n" % number for number in itertools.count())),
    ),
    "informational": (True, lambda: itertools.repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n")),
    # A TLS record of a handshake, announced with 16 KiB and sent byte by byte.
    "trickled handshake": (
        True,
        lambda: itertools.chain([b"\x16\x03\x03\x40\x00\x02"], itertools.repeat(b"\x00")),
    ),
    "gzip bomb": (
        False,
        lambda: iter(
            [
                _HEAD
                + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
                + _chunk(_BOMB)
                + b"0\r\n\r\n"
            ]
        ),
    ),
    "deep": (False, lambda: _once(b'{"data": ' + b"[" * 500_000)),
    "deep objects": (False, lambda: _once(b'{"data":' * 100_000)),
    "huge length": (
        True,
        lambda: itertools.chain(
            [_HEAD + b"Content-Length: 1000000000000\r\n\r\n"], itertools.repeat(b" ")
        ),
    ),
    "many names": (
        False,
        lambda: _once(
            b'{"data": [' + b",".join(b'{"id": "%d"}' % each for each in range(40_000)) + b"]}"
        ),
    ),
    "long name": (False, lambda: _once(b'{"data": [{"id": "' + b"\x7f" * 1_000_000 + b'"}]}')),
}
HOSTILE_ANSWERS = tuple(_ANSWERS)


@contextmanager
def hostile_server(answer: str) -> Iterator[int]:
    """Serve an answer on a free port of the loopback, and yield the port.

    :param answer: one of :data:`HOSTILE_ANSWERS`.
    """
    paused, parts = _ANSWERS[answer]
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            for part in parts():
                if over.wait(_PAUSE_S if paused else 0):
                    return
                connection.sendall(part)
            over.wait()

    def accept() -> None:
        with suppress(OSError):
            while not over.is_set():
                connection, _ = server.accept()
                connection.settimeout(10)
                workers.append(threading.Thread(target=serve, args=(connection,)))
                workers[-1].start()

    workers: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for each in workers:
                each.join()

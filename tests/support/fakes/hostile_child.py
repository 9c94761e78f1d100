"""Rendering processes that an attacker controls: each class attacks its parent in one way.

    python -m tests.support.fakes.hostile_child SOCKET MODE LIMITS

The media type that a document claims selects the attack: the content of the document is its name.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import pickle
import signal
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from airflow_deepseek_ocr.ocr.page_pixels import COLOR, file_bytes
from airflow_deepseek_ocr.ocr.rendering.channel import ChildEnd
from airflow_deepseek_ocr.ocr.rendering.messages import (
    Closed,
    CloseRequest,
    Opened,
    OpenRequest,
    Ready,
    RenderedPage,
)
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import SandboxReport

_HEADER = struct.Struct("!BII")
RENDERED, FAILED, EXTRACTED = 18, 21, 22
SIZE = (64, 64)
FILE_BYTES = file_bytes(SIZE, COLOR)


class Child:
    """What an attack has at its disposal.

    :ivar sequence: number of the request.
    :ivar pixels: memory file of the request.
    """

    def __init__(self, connection: int) -> None:
        self.connection, self.pixels = connection, -1
        self.sequence = 0

    def raw(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.connection, data) :]

    def message(self, kind: int, payload: bytes, *, size: int | None = None, late: int = 0) -> None:
        size = len(payload) if size is None else size
        self.raw(_HEADER.pack(kind, self.sequence - late, size) + payload)

    def page(self, **changes: object) -> None:
        """Answer with a page of correct pixels, but for some fields."""
        os.ftruncate(self.pixels, FILE_BYTES)
        nothing = {"count": 0, "names": [], "are_documents": False}
        values = {"number": 1, "size": SIZE, "text_layer": None, "edge_density": None}
        values |= {"attachments": nothing, "attached": [], "dpi": 0}
        values |= {"channels": 3, "line_direction": None}
        self.message(RENDERED, json.dumps(values | changes).encode())

    def layer(self, **changes: object) -> None:
        layer = {"text": "a", "lines": [], "unmapped": 0.0, "invisible": 0.0}
        self.page(text_layer=layer | changes)


class Boom:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {os.environ.get('TMPDIR', '/tmp')}/pickled",)


def _truncate(child: Child) -> None:
    child.page()
    for _ in range(2000):
        with suppress(OSError):
            os.ftruncate(child.pixels, 0)
            os.ftruncate(child.pixels, FILE_BYTES)


def _rewrite(child: Child) -> None:
    """Change a page after it was given away."""
    child.page()
    for _ in range(2000):
        with suppress(OSError):
            os.pwrite(child.pixels, b"\xff" * 64, 0)


def _map(child: Child) -> None:
    """Keep the right to change a page."""
    os.ftruncate(child.pixels, FILE_BYTES)
    with mmap.mmap(child.pixels, FILE_BYTES):
        child.page()
        time.sleep(1000)


def _seal(child: Child) -> None:
    """Keep the parent from sealing the file."""
    fcntl.fcntl(child.pixels, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
    child.page()


def _endless_stderr(child: Child) -> None:
    while True:
        os.write(2, b"\x1b[31mAll is well\r\n" * 100)


def _trickle(child: Child) -> None:
    child.raw(_HEADER.pack(RENDERED, child.sequence, 1000))
    while True:
        child.raw(b" ")
        time.sleep(0.05)


def _deaf_to_its_alarm(child: Child) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    time.sleep(1000)


#: The attacks, by name: what a child does instead of answering with its page.
ATTACKS: dict[str, Callable[[Child], None]] = {
    "pickle": lambda child: child.raw(struct.pack("!i", 100) + pickle.dumps(Boom())),
    "pickle_as_payload": lambda child: child.message(RENDERED, pickle.dumps(Boom())),
    "half_a_header": lambda child: (child.raw(b"\x12\x00"), time.sleep(1000)),  # type: ignore[func-returns-value]
    "half_a_message": lambda child: (  # type: ignore[func-returns-value]
        child.message(RENDERED, b'{"number": 1', size=100),
        time.sleep(1000),
    ),
    "trickle": _trickle,
    "two_gibibytes": lambda child: child.message(RENDERED, b"", size=2 << 30),
    "unknown_kind": lambda child: child.message(99, b"{}"),
    "wrong_kind": lambda child: child.message(19, b"{}"),
    "an_earlier_request": lambda child: child.message(RENDERED, b"{}", late=1),
    "no_json": lambda child: child.message(RENDERED, b"\xff\xfe"),
    "deep_json": lambda child: child.message(RENDERED, b"[" * 500_000),
    "repeated_field": lambda child: child.message(RENDERED, b'{"number": 1, "number": 1}'),
    "unknown_field": lambda child: child.page(path="/etc/passwd"),
    "long_number": lambda child: child.message(RENDERED, b'{"number": ' + b"9" * 9999 + b"}"),
    "another_page": lambda child: child.page(number=2),
    "a_true_page": lambda child: child.page(number=True),
    "size_of_a_billion": lambda child: child.page(size=[10**9, 1]),
    "negative_size": lambda child: child.page(size=[-64, -64]),
    "empty_size": lambda child: child.page(size=[0, 64]),
    "three_sides": lambda child: child.page(size=[1, 1, 1]),
    "size_as_text": lambda child: child.page(size="11"),
    "fewer_pixels": lambda child: child.page(size=[64, 65]),
    "more_pixels": lambda child: child.page(size=[64, 63]),
    "other_channels": lambda child: child.page(channels=1),
    "two_channels": lambda child: child.page(channels=2),
    "mapped_pixels": _map,
    "sealed_pixels": _seal,
    "rewritten_pixels": _rewrite,
    "an_attached_gibibyte": lambda child: child.message(EXTRACTED, b'{"size": 1073741824}'),
    "nan": lambda child: child.layer(unmapped=float("nan")),
    "infinity": lambda child: child.layer(unmapped=float("inf")),
    "share_of_two": lambda child: child.layer(invisible=2.0),
    "nan_box": lambda child: child.layer(lines=[["a", [0, 0, 1, float("nan")], [0, 0, 1, 1]]]),
    "box_outside": lambda child: child.layer(lines=[["a", [0, 0, 1, 1], [0, 0, 65, 1]]]),
    "box_reversed": lambda child: child.layer(lines=[["a", [9, 0, 1, 1], [0, 0, 1, 1]]]),
    "ten_million_characters": lambda child: child.layer(text="a" * 10_000_000),
    "many_characters": lambda child: child.layer(text="a" * 200_001),
    "many_lines": lambda child: child.layer(lines=[["a", [0, 0, 1, 1], [0, 0, 1, 1]]] * 5001),
    "much_text_in_lines": lambda child: child.layer(
        lines=[["a" * 2000, [0, 0, 1, 1], [0, 0, 1, 1]]] * 101
    ),
    "lone_surrogate": lambda child: child.layer(text="\ud800"),
    "unknown_code": lambda child: child.message(FAILED, b'{"code": "x", "message": "y"}'),
    "code_as_object": lambda child: child.message(FAILED, b'{"code": {}, "message": "y"}'),
    "long_message": lambda child: child.message(
        FAILED, json.dumps({"code": "damaged", "message": "y" * 3000}).encode()
    ),
    "endless_stderr": _endless_stderr,
    "deaf_to_its_alarm": _deaf_to_its_alarm,
    "exit": lambda child: os._exit(0),
    "crash": lambda child: os.abort(),
    "truncated_pixels": _truncate,
}


def main(arguments: list[str]) -> None:
    """Answer as a rendering process does, until a page is requested."""
    connection = int(arguments[0])
    end, child = ChildEnd(connection), Child(connection)
    end.send(Ready(SandboxReport(7)))
    attack = ""
    while True:
        try:
            request, files = end.receive()
        except EOFError:
            return
        child.sequence += 1
        if isinstance(request, OpenRequest):
            (document,) = files
            attack = os.pread(document, 100, 0).decode()
            os.close(document)
            end.send(Opened("image/png", 3))
        elif isinstance(request, CloseRequest):
            end.send(Closed())
        else:
            (document,) = files
            child.pixels = document
            if attack in ATTACKS:
                ATTACKS[attack](child)
            else:
                os.ftruncate(document, FILE_BYTES)
                end.send(RenderedPage(request.number, SIZE, None))
            os.close(document)


if __name__ == "__main__":
    main(sys.argv[1:])

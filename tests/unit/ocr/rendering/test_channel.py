"""Both ends of the socket between a renderer and its child."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.rendering.channel import ChildEnd, ParentEnd
from airflow_deepseek_ocr.ocr.rendering.messages import (
    MAX_PAYLOAD_BYTES,
    Closed,
    CloseRequest,
    MessageError,
    Opened,
    OpenRequest,
    Ready,
    RenderedPage,
    RenderRequest,
    encode,
)
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import SandboxReport
from tests.support.descriptors import no_descriptor_left

HEADER = struct.Struct("!BII")


class Pair:
    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.parent, self.child = ParentEnd(self.ours), ChildEnd(os.dup(self.theirs.fileno()))
        self.theirs.close()

    def wait(self) -> None:
        ready = select.select([self.ours], [self.ours], [], 10)
        assert ready != ([], [], [])

    def wait_readable(self) -> None:
        if select.select([self.ours], [], [], 0.2) == ([], [], []):
            raise TimeoutError

    def request(self, message: object, *descriptors: int) -> None:
        self.parent.send(message, descriptors, self.wait)  # type: ignore[arg-type]


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.ours.close()
    made.child.close()


def test_requests_and_answers_pass(pair: Pair) -> None:
    pair.child.send(Ready(SandboxReport(7)))
    assert pair.parent.receive(pair.wait_readable) == Ready(SandboxReport(7))
    for number in (1, 2):
        pair.request(RenderRequest(number))
        assert pair.child.receive() == (RenderRequest(number), [])
        pair.child.send(RenderedPage(number, (3, 4), TextLayer("a" * 30_000)))
        assert pair.parent.receive(pair.wait_readable).number == number


def test_an_open_file_travels_with_its_request(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "document"
    path.write_text("content")
    ours = os.open(path, os.O_RDONLY)
    pair.request(OpenRequest(PageSelection(), 72), ours)
    os.close(ours)
    request, (theirs,) = pair.child.receive()
    assert request == OpenRequest(PageSelection(), 72)
    assert os.pread(theirs, 100, 0) == b"content"
    os.close(theirs)


def test_a_second_answer_is_not_taken_for_that_of_the_next_request(pair: Pair) -> None:
    pair.request(CloseRequest())
    pair.child.receive()
    pair.child.send(Closed())
    pair.child.send(Closed())
    assert pair.parent.receive(pair.wait_readable) == Closed()
    pair.request(RenderRequest(1))
    with pytest.raises(MessageError, match="another request"):
        pair.parent.receive(pair.wait_readable)


@pytest.mark.parametrize("size", [MAX_PAYLOAD_BYTES + 1, (1 << 32) - 1])
def test_a_long_answer_is_refused_by_its_header(pair: Pair, size: int) -> None:
    os.write(pair.child._connection.fileno(), HEADER.pack(19, 0, size))
    with pytest.raises(MessageError, match="bytes"):
        pair.parent.receive(pair.wait_readable)


@pytest.mark.parametrize("sent", [b"", b"\x13", HEADER.pack(17, 0, 100) + b"{"])
def test_the_deadline_is_that_of_the_whole_answer(pair: Pair, sent: bytes) -> None:
    os.write(pair.child._connection.fileno(), sent)
    with pytest.raises(TimeoutError):
        pair.parent.receive(pair.wait_readable)
    pair.child.close()
    with pytest.raises(EOFError):
        pair.parent.receive(pair.wait_readable)


def test_answers_come_in_pieces(pair: Pair) -> None:
    pair.request(CloseRequest())
    pair.child.receive()
    kind, payload = encode(Opened("image/png", 2))
    data = HEADER.pack(kind, 1, len(payload)) + payload
    sent = iter(data)

    def wait() -> None:
        os.write(pair.child._connection.fileno(), bytes([next(sent)]))

    assert pair.parent.receive(wait) == Opened("image/png", 2)


def test_descriptors_of_the_child_are_not_received(pair: Pair) -> None:
    with no_descriptor_left():
        socket.send_fds(pair.child._connection, [HEADER.pack(19, 0, 2) + b"{}"], [0, 1, 2])
        assert pair.parent.receive(pair.wait_readable) == Closed()


def test_the_end_of_the_parent_ends_the_child(pair: Pair) -> None:
    pair.ours.close()
    with pytest.raises(EOFError):
        pair.child.receive()
    with pytest.raises(BrokenPipeError):
        pair.child.send(Closed())

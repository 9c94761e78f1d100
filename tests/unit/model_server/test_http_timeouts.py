"""Connections to a real uvicorn server with a short time-out for request heads."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from airflow_deepseek_ocr.model_server.http_timeouts import (
    HandshakeTimeoutServer,
    HeadTimeoutProtocol,
)
from tests.support.certificates import Authority
from tests.support.servers.raw_connections import Connect, raw_connections
from tests.support.waiting import eventually

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SHORT_S = 0.3
#: Longer than any test takes.
LONG_S = 60.0


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Respond to ``/slow`` after twice the short time-out, to all others at once; read no body."""
    if scope["path"] == "/slow":
        await asyncio.sleep(2 * SHORT_S)
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def serving(timeout_s: float, tls: ssl.SSLContext | None = None) -> Iterator[Connect]:
    """A server with this time-out; yields a function that connects to it, without TLS."""

    class Protocol(HeadTimeoutProtocol):
        head_timeout_s = timeout_s

    class Server(HandshakeTimeoutServer):
        tls_timeout_s = timeout_s

    config = uvicorn.Config(
        app, http=Protocol, lifespan="off", log_level="error", timeout_keep_alive=int(LONG_S)
    )
    server = Server(config, tls)
    with raw_connections(server) as connections:
        yield connections


@pytest.fixture(scope="module")
def connect() -> Iterator[Connect]:
    with serving(SHORT_S) as connect:
        yield connect


def received(connection: socket.socket) -> bytes:
    """Return all bytes until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(1000), b""))


@pytest.mark.parametrize("sent", [b"", b"GET", HEAD[:-2]], ids=["nothing", "a word", "no end"])
def test_a_connection_without_a_complete_head_is_closed(
    connect: Callable[[], socket.socket], sent: bytes
) -> None:
    with connect() as connection:
        connection.sendall(sent)
        assert received(connection) == b""


def test_a_part_now_and_then_does_not_extend_the_timeout(
    connect: Callable[[], socket.socket],
) -> None:
    with connect() as connection:

        def closed() -> bool:
            if select.select([connection], [], [], 0)[0]:
                return True
            connection.sendall(b"G")
            return False

        eventually(closed)


def test_a_response_may_take_longer_than_the_head(connect: Callable[[], socket.socket]) -> None:
    with connect() as connection:
        connection.sendall(HEAD.replace(b"/ ", b"/slow ", 1))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_kept_connection_serves_until_a_head_is_late(
    connect: Callable[[], socket.socket],
) -> None:
    with connect() as connection:
        for _ in range(2):
            connection.sendall(HEAD)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        connection.sendall(HEAD[:-2])
        assert b"200" not in received(connection)


def test_a_body_that_never_comes_after_the_response_ends_the_connection(
    connect: Callable[[], socket.socket],
) -> None:
    with connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 200")


def test_a_head_in_many_parts_is_served_within_the_timeout() -> None:
    with serving(LONG_S) as connect, connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in HEAD:
            assert not select.select([connection], [], [], 0.005)[0], "closed or answered early"
            connection.sendall(bytes([byte]))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def connect_tls(authority: Authority) -> Iterator[Connect]:
    with serving(SHORT_S, authority.issue("ocr").context()) as connect:
        yield connect


def encrypted(connection: socket.socket, authority: Authority) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(authority.path))
    return context.wrap_socket(connection, server_hostname="ocr")


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01", HEAD])
def test_a_connection_without_a_complete_handshake_is_closed(
    connect_tls: Callable[[], socket.socket], sent: bytes
) -> None:
    """Nothing, the beginning of a handshake, and plain HTTP, whose client gets no readable response."""
    with connect_tls() as connection:
        connection.sendall(sent)
        assert b"HTTP" not in received(connection)


def test_a_handshake_in_small_parts_does_not_extend_the_timeout(
    connect_tls: Callable[[], socket.socket],
) -> None:
    hello = b"\x16\x03\x01\x40\x00" + bytes(0x4000)
    with connect_tls() as connection:
        parts = iter(range(len(hello)))

        def closed() -> bool:
            if select.select([connection], [], [], 0)[0]:
                return True
            part = next(parts)
            connection.sendall(hello[part : part + 1])
            return False

        eventually(closed)


@pytest.mark.parametrize("sent", [b"", b"GET", HEAD[:-2]], ids=["nothing", "a word", "no end"])
def test_the_timeout_of_the_head_holds_under_tls(
    connect_tls: Callable[[], socket.socket], authority: Authority, sent: bytes
) -> None:
    with encrypted(connect_tls(), authority) as connection:
        connection.sendall(sent)
        assert received(connection) == b""
    with encrypted(connect_tls(), authority) as connection:
        connection.sendall(HEAD)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_client_that_does_not_end_tls_is_dropped(
    connect_tls: Callable[[], socket.socket], authority: Authority
) -> None:
    """The client answers the end of TLS by nothing, and keeps its side of the connection open."""
    connection = connect_tls()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=str(authority.path))
    tls = context.wrap_bio(incoming, outgoing, server_hostname="ocr")
    with connection:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(10_000))
        connection.sendall(outgoing.read())
        assert received(connection), (
            "session tickets and the server's end, then the connection closes"
        )

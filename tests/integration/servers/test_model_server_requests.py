"""Requests that are none, and many at once, at real sockets of the server's routes without a model."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from airflow_deepseek_ocr.engines.protocol.chat_completions import CHAT_PATH, own_capabilities
from airflow_deepseek_ocr.model_server.admission import Admission
from airflow_deepseek_ocr.model_server.app import make_app
from airflow_deepseek_ocr.model_server.main import _server
from airflow_deepseek_ocr.model_server.service import Model, Service
from airflow_deepseek_ocr.ocr.decoding import Decoding
from tests.support.servers.raw_connections import Connect, raw_connections
from tests.support.waiting import eventually

KEY = "0123456789abcdef"
LIMIT = 4 << 20
AUTH = f"Authorization: Bearer {KEY}\r\n"
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@pytest.fixture
def service() -> Service:
    """A service that is ready, as far as its routes can tell."""
    service = Service(
        Model(directory=Path("unused"), name="m"), max_body_bytes=LIMIT, on_end=lambda: None
    )
    service.capabilities = own_capabilities(
        "m",
        "",
        Decoding(),
        context_length=8192,
        pages=4,
        max_body_bytes=LIMIT,
        version="1",
        device="cpu",
        dtype="float32",
        page_directory=None,
    )
    service._admission = Admission(1 << 30)
    return service


@pytest.fixture
def connect(service: Service) -> Iterator[Connect]:
    with raw_connections(_server(make_app(service, KEY), None)) as connections:
        yield connections


def ask(connect: Connect, *sent: bytes | str) -> bytes:
    """Send the parts and return what comes back until the server closes, or has answered and is silent."""
    with connect() as connection, suppress(ConnectionResetError, BrokenPipeError):
        for part in sent:
            connection.sendall(part.encode() if isinstance(part, str) else part)
            time.sleep(0.05)
        connection.settimeout(0.5)
        received = b""
        with suppress(TimeoutError, ConnectionResetError):
            while part := connection.recv(65536):
                received += part
        return received
    return b""


def get(path: str, headers: str = "", method: str = "GET", version: str = "1.1") -> str:
    return f"{method} {path} HTTP/{version}\r\nHost: x\r\n{headers}\r\n"


POST = f"POST {CHAT_PATH} HTTP/1.1\r\nHost: x\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        # Upgrades are not made; the request is answered.
        ([get("/v1/models", UPGRADE)], 401),
        ([get("/v1/models", AUTH + UPGRADE)], 200),
        ([get("/health/live", UPGRADE)], 200),
        ([get("/health/live", UPGRADE), b"\x81\x85abcdefghi"], 200),
        ([get("/health/live", UPGRADE.replace("websocket", "h2c"))], 200),
        ([get("/health/live", UPGRADE.replace("websocket", ""))], 200),
        ([get("/nowhere", AUTH + UPGRADE)], 404),
        # Other versions of HTTP, and other protocols.
        (["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\4\0\0\0\0\0"], 505),
        ([get("/health/live", version="1.0")], 200),
        ([get("/health/live", version="2.0")], 505),
        ([get("/health/live", version="9.9")], 505),
        (["GET /health/live\r\n\r\n"], 400),
        ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)], 400),
        ([b"SSH-2.0-OpenSSH_9\r\n\r\n"], 400),
        ([bytes(range(256)) + b"\r\n\r\n"], 400),
        # Methods.
        ([get("example.com:443", method="CONNECT")], 405),
        ([get("example.com:443", AUTH, method="CONNECT"), b"\x16\x03\x01"], 405),
        ([get("*", method="OPTIONS")], 401),
        ([get("*", AUTH, method="OPTIONS")], 404),
        ([get("/v1/models", AUTH, method="TRACE")], 405),
        ([get("/v1/models", AUTH, method="FOO")], 405),
        ([get("/v1/models", AUTH, method="HEAD")], 405),
        ([get("/v1/models", AUTH, method="g@t")], 400),
        # URLs in place of the path, as for a proxy.
        ([get("http://x/health/live")], 200),
        ([get("HTTP://x:80/v1/models", AUTH)], 200),
        ([get("http://x/v1/models")], 401),
        ([get("http://x", AUTH)], 404),
        ([get("http://evil/health/live/../../v1/models")], 401),
        ([get("ftp://x/health/live")], 401),
        ([get("health/live")], 401),
        ([get("//x/health/live")], 401),
        ([get("/health/live?" + "a" * 60_000)], 200),
        ([get("/%00%ff%0d%0a", AUTH)], 404),
        ([get("/" + "a" * 1_000_000)], None),
        # Headers.
        (["GET /health/live HTTP/1.1\r\n\r\n"], 400),
        ([get("/health/live", "Host: y\r\n")], 400),
        ([get("/health/live", "A\x00: b\r\n")], 400),
        ([get("/health/live", "no colon\r\n")], 400),
        ([get("/health/live", " folded: x\r\n")], 200),
        ([get("/health/live", "A: " + "a" * 1_000_000 + "\r\n")], None),
        ([get("/health/live", "A: b\r\n" * 200_000)], None),
        ([get("/v1/models", "Authorization: Bearer \xff\r\n")], 401),
        ([get("/health/live", "Content-Length: -1\r\n")], 400),
        ([get("/health/live", "Content-Length: 1\r\nContent-Length: 2\r\n")], 400),
        ([get("/health/live", "Transfer-Encoding: gzip\r\n")], 400),
        ([get("/health/live", "Expect: something\r\n")], 200),
        # Bodies that break after the answer, and before it.
        ([POST + CHUNKED, "not hex\r\n"], 401),
        ([POST + CHUNKED, "5\r\nabc", "zzzzzzzzz\r\n"], 401),
        ([POST + AUTH + CHUNKED, "not hex\r\n"], 400),
        ([POST + AUTH + CHUNKED, "5\r\nabcde\r\n", "not hex\r\n"], 400),
        ([POST + AUTH + f"Content-Length: {LIMIT + 1}\r\n\r\n", "x"], 413),
        ([POST + AUTH + "Content-Length: " + "9" * 19 + "\r\n\r\n", "x"], 413),
        ([POST + AUTH + CHUNKED, "5\r\n", "abcde\r\n0\r\n\r\n"], 400),
        ([POST + "Content-Length: 5\r\nConnection: keep-alive\r\n\r\n", "abcdefgh GARBAGE\r\n\r\n"], 401),
        # Several requests at once; the second one is none.
        ([get("/health/live") + "GARBAGE\r\n\r\n"], 200),
        ([get("/health/live") * 3 + "\x00"], 200),
    ],
)  # fmt: skip
def test_every_request_has_its_status_and_no_traceback(
    connect: Connect, sent: list[bytes | str], status: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        answer = ask(connect, *sent)
        # The answer to a request that is cut off may not arrive.
        assert status is None or answer.startswith(b"HTTP/1.1 %d " % status), answer[:300]
        alive = ask(connect, get("/health/live", "Connection: close\r\n"))
    assert alive.startswith(b"HTTP/1.1 200 ")
    errors = [each for each in caplog.records if each.exc_info or each.levelno >= logging.ERROR]
    assert errors == [], [each.getMessage() for each in errors]
    assert len(caplog.records) <= 1, "a request fills no log"


@pytest.mark.timeout(120)
def test_the_bytes_of_requests_that_arrive_are_bounded_in_sum(
    connect: Connect, service: Service
) -> None:
    """Thirty clients send the largest request but its last byte; then all of them end it."""
    last, answers = threading.Event(), list[bytes]()
    head = (POST + AUTH + f"Content-Length: {LIMIT}\r\n\r\n").encode()
    body = b" " * (LIMIT - 1)

    def send() -> None:
        with connect() as client:
            client.settimeout(60)
            client.sendall(head)
            client.sendall(body)
            last.wait()
            client.sendall(b" ")
            answers.append(client.recv(1000))

    before, most = psutil.Process().memory_info().rss, 0
    threads = [threading.Thread(target=send) for _ in range(30)]
    for each in threads:
        each.start()
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        most = max(most, service.bodies.bytes)
        time.sleep(0.01)
    grown = psutil.Process().memory_info().rss - before
    last.set()
    for each in threads:
        each.join()
    assert LIMIT < most <= 3 * LIMIT
    assert grown < 15 * LIMIT, "half of what was sent; connections have buffers as well"
    assert [each.partition(b" ")[2][:3] for each in answers] == [b"400"] * 30, "none is refused"
    eventually(lambda: service.bodies.bytes == 0)


def test_silent_clients_take_no_room(connect: Connect) -> None:
    """They announce the largest request, and send nothing."""
    head = (POST + AUTH + f"Content-Length: {LIMIT}\r\n\r\n").encode()
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(connect()).sendall(head)
        answer = ask(connect, POST + AUTH + "Content-Length: 100000\r\n\r\n", b" " * 100_000)
    assert answer.startswith(b"HTTP/1.1 400 ")

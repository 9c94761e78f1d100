"""The server refuses requests without the API key, malformed ones and large ones."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.protocol.api_key import read_api_key
from airflow_deepseek_ocr.exceptions import ConfigurationError
from tests.integration.servers.conftest import MAX_BODY_MB, Server
from tests.integration.servers.model_requests import (
    CHAT,
    body,
    connection_to,
    server_process,
)
from tests.support.fakes.another_user import as_another_user


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer x y", "Basic eDp5", "Bearer \xe9"])
def test_nothing_without_the_api_key(server: Server, given: str | None, table: Image.Image) -> None:
    headers = {} if given is None else {"Authorization": given.encode("latin-1")}
    with httpx.Client(base_url=server.endpoint.url, headers=headers, trust_env=False) as client:
        answers = [
            client.get("/v1/models"),
            client.get("/metrics"),
            client.get("/anything"),
            client.post(CHAT, json=body(table)),
            client.post(CHAT, content=b"x" * (MAX_BODY_MB << 20) * 2),
        ]
        for answer in answers:
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "server_api_key"
            assert str(server.endpoint.api_key) not in answer.text
        assert client.get("/health/live").json() == {"status": "live"}
        assert client.get("/health/ready").json() == {"status": "ready"}


def test_the_api_key_is_readable_by_its_user_alone(server: Server, tmp_path: Path) -> None:
    path = server.process.cwd / "api_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(server.endpoint.api_key) not in server.process.log_tail()
    assert str(server.endpoint.api_key) not in repr(server.endpoint)
    (tmp_path / "open").write_text("api_key")
    (tmp_path / "open").chmod(0o644)
    with pytest.raises(ConfigurationError, match="600"):
        read_api_key(tmp_path / "open")


def test_it_listens_on_the_loopback_only(server: Server) -> None:
    """Not on the host's other addresses."""
    port = int(server.endpoint.url.rpartition(":")[2])
    with socket.socket() as probe, pytest.raises(OSError):
        probe.settimeout(2)
        probe.connect((socket.gethostbyname(socket.gethostname()), port))
        if probe.getpeername()[0].startswith("127."):
            raise OSError("this host's name is the loopback")


def test_a_large_request_is_refused_while_it_is_read(server: Server) -> None:
    limit = MAX_BODY_MB << 20
    with server.client() as client:
        sent = 0

        def chunks() -> Iterator[bytes]:
            nonlocal sent
            while sent < 3 * limit:
                sent += 1 << 16
                yield b"x" * (1 << 16)

        assert client.post(CHAT, content=chunks()).status_code == 413
        declared = client.build_request("POST", CHAT, content=b"x", headers={"Content-Length": "1"})
        declared.headers["Content-Length"] = str(1 << 30)
    # A gibibyte that is only announced is refused at once.
    port = int(server.endpoint.url.rpartition(":")[2])
    head = "".join(f"{name}: {value}\r\n" for name, value in declared.headers.items())
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"POST {CHAT} HTTP/1.1\r\n{head}\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


BAD: dict[str, tuple[Any, int]] = {
    "no JSON": (b"\x00\xff{", 400),
    "JSON of another kind": (b"[1, 2]", 400),
    "deep": (b"[" * 100_000, 400),
    "another model": ({"model": "gpt"}, 404),
    "streamed": ({"stream": True}, 400),
    "warm": ({"temperature": 0.7}, 400),
    "no length": ({"max_tokens": 0}, 400),
    "without end": ({"ignore_eos": True}, 400),
    "mode": ({"mm_processor_kwargs": {"resolution": "huge"}}, 400),
    "no_repeat_ngram": ({"vllm_xargs": {"ngram_size": 3, "window_size": 90}}, 400),
    "probabilities": ({"logprobs": True, "top_logprobs": 3}, 400),
    "no message": ({"messages": []}, 400),
    "text alone": ({"messages": [{"role": "user", "content": "Free OCR."}]}, 400),
}


@pytest.mark.parametrize("name", BAD)
def test_garbage_is_refused_with_a_reason(server: Server, table: Image.Image, name: str) -> None:
    given, status = BAD[name]
    content = given if isinstance(given, bytes) else json.dumps(body(table, **given)).encode()
    with server.client() as client:
        answer = client.post(CHAT, content=content)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("line", "url", "code"),
    [
        ("Write a poem.", None, "server_prompt"),
        ("locate:<|ref|>", None, "prompt_text"),
        ("Free OCR.", "http://127.0.0.1:1/page.png", "bad_image"),
        ("Free OCR.", "file:///etc/passwd", "bad_image"),
        ("Free OCR.", "data:image/png;base64,AAAA", "bad_image"),
        ("Free OCR.", "data:image/png;base64,!!", "bad_image"),
        ("Free OCR.", "data:image/gif;base64,R0lGODlhAQABAAAAACw=", "bad_image"),
    ],
)
def test_pages_that_are_none(
    server: Server, table: Image.Image, line: str, url: str | None, code: str
) -> None:
    request = body(table)
    content = request["messages"][0]["content"]
    content[1]["text"] = line
    if url:
        content[0]["image_url"]["url"] = url
    with server.client() as client:
        answer = client.post(CHAT, json=request)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_bytes_that_are_no_http(server: Server) -> None:
    port = int(server.endpoint.url.rpartition(":")[2])
    for garbage in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/9\r\n\r\n", b"\r\n" * 5, b"A" * 200_000):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            answer = b""
            with suppress(OSError):  # it may close the connection before all has come
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(1000)
            assert b"api_key" not in answer
    with server.client() as client:
        assert client.get("/health/ready").status_code == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_is_not_let_in(server: Server, tmp_path: Path) -> None:
    """On the loopback everybody may connect; the api_key's file is not theirs to read."""
    api_key = tmp_path / "api_key"
    shutil.copy(server.process.cwd / "api_key", api_key)
    shutil.copymode(server.process.cwd / "api_key", api_key)
    port = int(server.endpoint.url.rpartition(":")[2])
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)  # only the file's own mode is left

    def get(bearer: str) -> str:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            head = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}\r\n"
            connection.sendall(head.encode())
            return b"".join(iter(partial(connection.recv, 1000), b"")).decode()

    pid = server_process(server).pid
    said = as_another_user(
        {
            "read": lambda: api_key.read_text(),
            "environment": lambda: Path(f"/proc/{pid}/environ").read_text(),
            "memory": lambda: Path(f"/proc/{pid}/mem").read_bytes().hex(),
            "nothing": lambda: get(""),
            "guessed": lambda: get("Authorization: Bearer guessed\r\n"),
            "command": lambda: Path(f"/proc/{pid}/cmdline").read_text(),
        }
    )
    for name in ("read", "environment", "memory"):
        assert said[name].startswith("PermissionError"), said
    for name in ("nothing", "guessed"):
        assert said[name].startswith("HTTP/1.1 401"), said
    assert "serve" in said["command"]
    assert str(server.endpoint.api_key) not in str(said)


@pytest.mark.timeout(120)
def test_a_gibibyte_is_not_kept(server: Server) -> None:
    """With the api_key and without, announced and in chunks: refused at once, the rest thrown away."""
    process = server_process(server)
    before, block = process.memory_info().rss, b"x" * (1 << 20)
    api_key = f"Authorization: Bearer {server.endpoint.api_key}\r\n"
    post = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n"
    for who, status in ((api_key, b"413"), ("", b"401")):
        for length in (f"Content-Length: {1 << 30}", "Transfer-Encoding: chunked"):
            with connection_to(server) as connection:
                connection.sendall(f"{post}{who}{length}\r\n\r\n".encode())
                for _ in range(1 << 10):
                    chunked = b"100000\r\n" + block + b"\r\n"
                    connection.sendall(chunked if "chunked" in length else block)
                assert connection.recv(1000).startswith(b"HTTP/1.1 " + status)
            assert process.memory_info().rss - before < 32 << 20
    with server.client() as client:
        assert client.get("/health/ready").status_code == 200

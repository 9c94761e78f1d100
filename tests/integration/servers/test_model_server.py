"""The resident server over TCP: the same texts as in-process, and an answer to everything."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.http.retries import RetryPolicy
from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    PUBLISHED_TABLE_CELLS,
    chat_request,
    prompt_of_line,
)
from airflow_deepseek_ocr.engines.supervisor.api_key import read_api_key
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.model_server.http_timeouts import HEAD_TIMEOUT_S
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.prompts import PROMPTS, prompt_line
from tests.integration.servers.conftest import MAX_BODY_MB, MAX_PENDING, MODEL, Server, start_server
from tests.support.eventually import eventually
from tests.support.fakes.another_user import as_another_user

CHAT = "/v1/chat/completions"


def body(image: Image.Image, **changes: Any) -> dict[str, Any]:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    values = chat_request(
        model=MODEL,
        image_url=f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}",
        line=PROMPTS["free"].template,
        resolution="tiny",
        max_tokens=20,
        no_repeat_ngram=(30, 90),
        table_cells=PUBLISHED_TABLE_CELLS,
    )
    return values | changes


def engine_for(server: Server, **options: Any) -> HttpEngine:
    return HttpEngine(lambda: server.endpoint, model=MODEL, **options)


def test_texts_are_those_of_the_in_process_engine(
    server: Server, mixed: list[PageRequest], expected: dict[str, Any]
) -> None:
    outputs = list(engine_for(server).read(iter(mixed[::-1])))
    assert {
        output.key: (
            output.text,
            str(output.finish_reason),
            output.vision_tokens,
            output.text_tokens,
        )
        for output in outputs
    } == expected
    assert all(output.seconds > 0 for output in outputs)
    assert len({text for text, *_ in expected.values()}) == len(expected)


def test_many_clients_share_the_model_and_wait_for_admission(
    server: Server, table: Image.Image
) -> None:
    """Four clients with more pages in flight than the server takes, each of 475 tokens as far as it knows:
    all are read, none twice."""
    texts: dict[int, list[str]] = {}

    def call(number: int) -> None:
        engine = engine_for(server, pages=8)
        requests = [
            PageRequest(
                key=key, image=table, prompt="free", resolution="tiny", max_output_length=400
            )
            for key in range(8)
        ]
        outputs = list(engine.read(requests))
        assert sorted(output.key for output in outputs) == list(range(8))  # type: ignore[type-var]
        texts[number] = [output.text for output in outputs]

    before = server.metric('deepseek_ocr_http_responses_total{status="429"}')
    clients = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(60)
    assert len(texts) == 4
    assert len({text for each in texts.values() for text in each}) == 1
    assert server.metric('deepseek_ocr_http_responses_total{status="429"}') > before


def test_one_page_does_not_wait_for_those_of_another_client(
    server: Server, table: Image.Image
) -> None:
    """Of forty pages of another's only those that the engine has taken already are read before it."""
    ended: list[float] = []

    def many() -> None:
        requests = [
            PageRequest(
                key=key, image=table, prompt="free", resolution="tiny", max_output_length=30
            )
            for key in range(40)
        ]
        for output in engine_for(server, pages=30).read(requests):
            assert output.error is None
            ended.append(time.monotonic())

    client = threading.Thread(target=many)
    client.start()
    eventually(lambda: len(ended) >= 4)
    began = time.monotonic()
    (output,) = engine_for(server).read(
        [PageRequest(key=1, image=table, prompt="free", resolution="tiny", max_output_length=30)]
    )
    read = time.monotonic()
    client.join(60)
    assert output.error is None
    assert len(ended) == 40
    between = sum(began <= each <= read for each in ended)
    # Four are being read and four are taken when it comes; four run beside it.
    assert between <= 16, ended


def test_the_metrics_say_what_the_time_goes_into(server: Server, table: Image.Image) -> None:
    names = [
        f'deepseek_ocr_device_seconds_total{{phase="{phase}"}}'
        for phase in ("vision", "prefill", "decode")
    ]
    before = [server.metric(name) for name in names]
    list(
        engine_for(server).read(
            [PageRequest(key=1, image=table, prompt="free", resolution="tiny", max_output_length=8)]
        )
    )
    assert all(server.metric(name) > old for name, old in zip(names, before, strict=True))
    assert server.metric("deepseek_ocr_pages_preempted_total") == 0


def test_what_the_server_says_of_itself(server: Server) -> None:
    capabilities = engine_for(server).capabilities()
    assert capabilities.modes == ("tiny", "small", "base", "large", "gundam")
    assert (capabilities.no_repeat_ngram, capabilities.pages, capabilities.max_tiles) == (
        (30, 90),
        4,
        9,
    )
    with pytest.raises(ConfigurationError, match="tiny") as caught:
        HttpEngine(lambda: server.endpoint, model="other").capabilities()
    assert caught.value.code == "server_model"


def test_lengths_as_asked_are_a_setting_of_the_server(
    server: Server, table: Image.Image, tmp_path: Path
) -> None:
    """For benchmarks: a blank page ends at once, but not there."""
    decoding = Decoding(forced=True)
    with pytest.raises(ConfigurationError, match="--ignore-end"):
        engine_for(server, decoding=decoding).capabilities()
    blank = Image.new("RGB", table.size, "white")
    request = [
        PageRequest(key=1, image=blank, prompt="free", resolution="tiny", max_output_length=33)
    ]
    (usual,) = engine_for(server).read(request)
    assert usual.text_tokens < 33
    forced = start_server(tmp_path, "--ignore-end")
    try:
        (output,) = engine_for(forced, decoding=decoding).read(request)
    finally:
        forced.process.stop()
    assert (output.error, output.text_tokens, output.finish_reason) == (None, 33, "length")


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


def test_a_page_that_is_too_large_fails_alone(server: Server, table: Image.Image) -> None:
    noise = Image.effect_noise((1800, 1800), 90).convert("RGB")
    requests = [
        PageRequest(key=1, image=noise, prompt="free", resolution="tiny", max_output_length=5),
        PageRequest(key=2, image=table, prompt="free", resolution="tiny", max_output_length=5),
    ]
    outputs = {output.key: output for output in engine_for(server).read(requests)}
    assert outputs[1].error is not None
    assert outputs[1].error.code == "page_too_large"
    assert outputs[2].error is None


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


def connect(server: Server) -> socket.socket:
    port = int(server.endpoint.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=20)


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

    pid = process_of(server).pid
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


def process_of(server: Server) -> psutil.Process:
    port = int(server.endpoint.url.rpartition(":")[2])
    (found,) = (
        each
        for each in psutil.net_connections("tcp4")
        if each.status == psutil.CONN_LISTEN and each.laddr.port == port
    )
    return psutil.Process(found.pid)


def test_a_gibibyte_is_not_kept(server: Server) -> None:
    """With the api_key and without, announced and in chunks: refused at once, the rest thrown away."""
    process = process_of(server)
    before, block = process.memory_info().rss, b"x" * (1 << 20)
    api_key = f"Authorization: Bearer {server.endpoint.api_key}\r\n"
    post = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n"
    for who, status in ((api_key, b"413"), ("", b"401")):
        for length in (f"Content-Length: {1 << 30}", "Transfer-Encoding: chunked"):
            with connect(server) as connection:
                connection.sendall(f"{post}{who}{length}\r\n\r\n".encode())
                for _ in range(1 << 10):
                    chunked = b"100000\r\n" + block + b"\r\n"
                    connection.sendall(chunked if "chunked" in length else block)
                assert connection.recv(1000).startswith(b"HTTP/1.1 " + status)
            assert process.memory_info().rss - before < 32 << 20
    with server.client() as client:
        assert client.get("/health/ready").status_code == 200


def test_connections_that_say_nothing_are_closed(server: Server, table: Image.Image) -> None:
    """A port scanner: open connections, half a head, and a body that never comes."""
    started = time.monotonic()
    post = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 30}\r\n"
    said = [b"", b"GET", post.encode(), f"{post}\r\n".encode()]
    with ExitStack() as stack:
        scans = [stack.enter_context(connect(server)) for _ in range(300)]
        for number, scan in enumerate(scans):
            scan.sendall(said[number % 4])
        requests = [
            PageRequest(key=key, image=table, prompt="free", resolution="tiny", max_output_length=5)
            for key in range(4)
        ]
        outputs = list(engine_for(server).read(requests))
        assert [output.error for output in outputs] == [None] * 4
        kept = stack.enter_context(connect(server))
        kept.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /health/live HTT")
        for _ in range(5):  # one that says a little now and then has no more time
            time.sleep(1)
            scans[1].sendall(b"G")
        ends = [b"".join(iter(partial(scan.recv, 1000), b"")) for scan in (*scans, kept)]
    assert time.monotonic() - started < HEAD_TIMEOUT_S + 10
    assert all(end.startswith(b"HTTP/1.1 401") for end in ends[3:300:4])
    assert ends[-1].startswith(b"HTTP/1.1 200")
    assert {ends[number] for number in range(300) if number % 4 != 3} == {b""}


def test_a_client_that_vanishes_leaves_nothing_behind(server: Server, invoice: Image.Image) -> None:
    request = body(invoice, max_tokens=2000)
    gone = server.metric('deepseek_ocr_http_responses_total{status="499"}')

    def call() -> None:
        with server.client(0.7) as client, pytest.raises(httpx.ReadTimeout):
            client.post(CHAT, json=request | {"messages": _with_prompt(request, "markdown")})

    client = threading.Thread(target=call)
    client.start()
    eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 1)
    client.join()
    eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 0)
    assert server.metric('deepseek_ocr_http_responses_total{status="499"}') == gone + 1
    # And in the middle of sending.
    port = int(server.endpoint.url.rpartition(":")[2])
    head = f"Authorization: Bearer {server.endpoint.api_key}\r\nContent-Length: 5000\r\nHost: x\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"POST {CHAT} HTTP/1.1\r\n{head}\r\n{{".encode())
        eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 1)
    eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 0)


def test_a_full_server_says_when_to_come_again(server: Server, invoice: Image.Image) -> None:
    request = body(invoice, max_tokens=400)
    port = int(server.endpoint.url.rpartition(":")[2])
    head = f"Authorization: Bearer {server.endpoint.api_key}\r\nContent-Length: 5000\r\nHost: x\r\n"
    waiting = []
    try:
        for _ in range(MAX_PENDING):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.sendall(f"POST {CHAT} HTTP/1.1\r\n{head}\r\n{{".encode())
            waiting.append(connection)
        eventually(lambda: server.metric("deepseek_ocr_pending_pages") == MAX_PENDING)
        with server.client() as client:
            answer = client.post(CHAT, json=request)
            assert answer.status_code == 429
            assert int(answer.headers["Retry-After"]) >= 1
        page = [
            PageRequest(key=1, image=invoice, prompt="free", resolution="tiny", max_output_length=3)
        ]
        engine = engine_for(server, retry_policy=RetryPolicy(full_s=0.1))
        (output,) = engine.read(page)
        assert output.error is None  # another client, with less than a share
        engine = engine_for(server, retry_policy=RetryPolicy(full_s=0.1), client_id="")
        (output,) = engine.read(page)
        assert output.error is not None
        assert output.error.code == "server_full"
    finally:
        for connection in waiting:
            connection.close()
    eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 0)


def test_plain_lines_and_names_are_the_same_prompts(server: Server, table: Image.Image) -> None:
    for name in (*PROMPTS, "locate:Total due"):
        if name != "locate":
            assert prompt_of_line(prompt_line(name)) == name
            assert prompt_of_line(name) == name
    assert prompt_of_line("Locate <|ref|><|/ref|> in the image.") is None
    request = body(table)
    with server.client() as client:
        texts = {
            client.post(CHAT, json=request | {"messages": _with_prompt(request, line)}).json()[
                "choices"
            ][0]["message"]["content"]
            for line in ("free", "Free OCR.", "  Free OCR.\n")
        }
    assert len(texts) == 1


def test_closing_the_generator_cancels_what_is_in_flight(
    server: Server, table: Image.Image, invoice: Image.Image
) -> None:
    taken = 0

    def requests() -> Iterator[PageRequest]:
        nonlocal taken
        yield PageRequest(
            key=-1, image=table, prompt="free", resolution="tiny", max_output_length=3
        )
        for key in range(100):
            taken += 1
            yield PageRequest(
                key=key,
                image=invoice,
                prompt="markdown",
                resolution="small",
                max_output_length=2000,
            )

    outputs = engine_for(server, pages=3).read(requests())
    assert next(outputs).key == -1
    outputs.close()
    eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 0, 5)
    assert taken < 10


def test_it_ends_its_pages_when_it_is_asked_to_leave(server: Server, invoice: Image.Image) -> None:
    """The last test of this module: afterwards the server is gone."""
    answers: list[httpx.Response] = []

    def call() -> None:
        with server.client() as client:
            answers.append(client.post(CHAT, json=body(invoice, max_tokens=60)))

    client = threading.Thread(target=call)
    client.start()
    eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 1)
    server.process.stop(timeout_s=60)
    client.join(10)
    assert [answer.status_code for answer in answers] == [200]
    assert answers[0].json()["usage"]["completion_tokens"] > 10
    assert server.process.exit_status == 0


def _with_prompt(request: dict[str, Any], line: str) -> list[dict[str, Any]]:
    (message,) = request["messages"]
    return [{"role": "user", "content": [message["content"][0], {"type": "text", "text": line}]}]

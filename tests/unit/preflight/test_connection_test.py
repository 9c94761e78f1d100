"""The Test button's answer: bounded in time and memory, and green only if a server was asked."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.preflight.connection_test import (
    MAX_MESSAGE,
    run_connection_test,
    settings_from_json,
)
from tests.conftest import TINY_MODEL
from tests.support.fakes.fault_server import Faults, fault_server
from tests.support.servers.hostile_server import HOSTILE_ANSWERS, hostile_server


def button(
    extra: dict[str, Any] | None = None, seconds: float = 4.5, **fields: Any
) -> tuple[bool, str]:
    return run_connection_test(Settings.of(extra or {}, **fields), seconds)


def test_a_server_that_serves_the_model_is_green() -> None:
    with fault_server(Faults(card={"id": "m"}, api_key="key")) as server:
        port = int(server.url.rpartition(":")[2])
        good, message = button({"model": "m"}, password="key", host="127.0.0.1", port=port)
        assert (good, message.startswith(f"{server.url} serves m")) == (True, True)
        assert server.requests == [], "no token was generated"
        good, message = button({"model": "n"}, password="key", host="127.0.0.1", port=port)
        assert (good, "does not serve 'n'" in message) == (False, True)
        good, message = button({"model": "m"}, password="secret", host="127.0.0.1", port=port)
        assert (good, "secret" in message) == (False, False)


@pytest.mark.parametrize(
    ("extra", "fields"),
    [
        ({}, {}),
        ({"model": str(TINY_MODEL)}, {}),
        ({"model": "/etc"}, {}),
        ({"model": "/nowhere"}, {}),
        ({"model": "s3://bucket/model"}, {}),
        ({"model": "s3://bucket/model", "aws_conn_id": "aws_default"}, {}),
        ({"engine": "vllm", "vllm_command": "/etc/shadow"}, {}),
        ({}, {"host": "unix:///nowhere.sock"}),
        ({}, {"host": "unix:///etc/passwd"}),
    ],
)
def test_what_workers_have_is_neither_looked_at_nor_green(
    extra: dict[str, str], fields: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "stat", None)
    monkeypatch.setattr(Path, "exists", None)
    monkeypatch.setattr(os, "stat", None)
    good, message = button(extra, **fields)
    assert not good
    assert message.startswith("Not tested, although the fields are valid: ")
    assert "airflow-deepseek-ocr preflight --conn-id" in message
    named = extra.get("model") or fields.get("host") or "deepseek-ai/DeepSeek-OCR"
    assert message.replace(named, "") == button(extra, **fields)[1].replace(named, "")


def test_authorities_tell_nothing_about_files(tmp_path: Path) -> None:
    """A missing file, and what is no certificate, get one answer."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("no certificate")
    (tmp_path / "closed").write_text("x")
    said = set()
    for name in ("missing", "pipe", "text", ".", "/dev/zero", "/etc/shadow", "/root/x"):
        path = tmp_path / name
        good, message = button({"ca_certificates": str(path)}, host="https://127.0.0.1:9")
        assert not good
        said.add(message.replace(str(path), "PATH"))
    assert len(said) == 1
    assert "cannot use PATH" in said.pop()


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"model": "no model"}, "is no model"),
        ({"retry_with": "nothing"}, "nothing"),
        ({"model": "a/b"}, "Set a revision"),
    ],
)
def test_settings_that_no_worker_can_use(extra: dict[str, str], expected: str) -> None:
    good, message = button(extra)
    assert (good, expected in message) == (False, True)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("answer", HOSTILE_ANSWERS)
def test_whatever_a_server_answers_the_button_is_bounded(answer: str) -> None:
    scheme = "https" if answer == "trickled handshake" else "http"
    process = psutil.Process()
    children = process.children(recursive=True)  # those of earlier tests
    threads, before, started = threading.active_count(), process.memory_info().rss, time.monotonic()
    with hostile_server(answer) as port:
        server_threads = threading.active_count() - threads
        good, message = button(seconds=1.5, host=f"{scheme}://127.0.0.1:{port}")
        assert time.monotonic() - started < 1.5 + 3
        assert not good
        assert 0 < len(message) <= MAX_MESSAGE + 3
        assert message.isprintable()
        # One thread of the stand-in serves the connection.
        assert threading.active_count() <= threads + server_threads + 1
    assert set(process.children(recursive=True)) <= set(children)
    assert process.memory_info().rss - before < 20 << 20


def test_the_process_can_end_at_once() -> None:
    """No thread waits for the server, or for a name server."""
    script = (
        "import threading, time\n"
        "from airflow_deepseek_ocr.connection.settings import Settings\n"
        "from airflow_deepseek_ocr.preflight.connection_test import run_connection_test\n"
        "print(run_connection_test(Settings.of({}, host='127.0.0.1', port=%d), 1))\n"
        "print(threading.active_count(), time.time())\n"
    )
    with hostile_server("trickled header") as port:
        done = subprocess.run(
            [sys.executable, "-c", script % port],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    ended = time.time()
    result, left = done.stdout.splitlines()
    assert ast.literal_eval(result)[0] is False
    count, when = left.split()
    assert (int(count), ended - float(when) < 2) == (1, True)


def test_the_process_gets_no_secret_of_the_api_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter is a script here, which writes down what it was started with."""
    program, seen = tmp_path / "python", tmp_path / "seen"
    program.write_text(
        f'#!/bin/sh\nenv > {seen}\necho "$@" >> {seen}\ncat > {seen}.stdin\necho \'[true, "x"]\'\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "planted")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    assert button(password="the-key", host="h") == (True, "x")
    text = seen.read_text()
    assert "planted" not in text
    assert "the-key" not in text
    assert "the-key" in Path(f"{seen}.stdin").read_text()


def test_a_process_that_dies_or_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert "without a result" in button(host="h")[1]
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    assert "cannot be started here" in button(host="h")[1]


def test_the_settings_arrive_whole(tmp_path: Path) -> None:
    settings = Settings.of(
        {"ca_certificates": str(tmp_path), "cache_dir": "/x", "batch_size": 3},
        "key",
        host="https://h",
        port=1234,
        login="user",
    )
    from dataclasses import asdict

    sent = json.dumps(asdict(settings), default=str).encode()
    assert Settings(**settings_from_json(sent)) == settings
    assert Settings(**settings_from_json(sent)).api_key == "key"

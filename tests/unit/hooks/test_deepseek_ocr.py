"""The hook: settings, model directory, connection test."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.connection.fields import DEFAULT_CONN_ID
from airflow_deepseek_ocr.engines.supervisor.registry import DIRECTORY_VARIABLE
from airflow_deepseek_ocr.exceptions import ConfigurationError, UnavailableError
from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
from tests.conftest import TINY_MODEL
from tests.support.airflow_connections import define, define_model
from tests.support.fakes.fault_server import Faults, fault_server

#: Seconds for a process that asks: a busy host needs longer to start it than a person waits.
PATIENCE_S = 60


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    define_model(monkeypatch, "model", resolution="tiny")
    hook = DeepSeekOCRHook("model")
    assert hook.settings.resolution == "tiny"
    define_model(monkeypatch, "model", resolution="base")
    assert hook.settings.resolution == "tiny"


def test_a_model_directory_is_used_in_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define_model(monkeypatch, "model", model=str(TINY_MODEL))
    assert DeepSeekOCRHook("model").fetch_model() == TINY_MODEL
    define_model(monkeypatch, "empty", model=str(tmp_path))
    with pytest.raises(UnavailableError, match=r"config\.json"):
        DeepSeekOCRHook("empty").fetch_model()


def test_the_connection_test_names_an_invalid_field(monkeypatch: pytest.MonkeyPatch) -> None:
    define_model(monkeypatch, "wrong", dtype="int4")
    good, message = DeepSeekOCRHook("wrong").test_connection()
    assert not good
    assert "Data type (dtype)" in message
    with pytest.raises(ConfigurationError):
        DeepSeekOCRHook("wrong").get_conn()


def test_the_connection_test_asks_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with fault_server(Faults(card={"id": "m"})) as server:
        port = int(server.url.rpartition(":")[2])
        define(
            monkeypatch,
            DEFAULT_CONN_ID,
            conn_type="deepseek_ocr",
            host="127.0.0.1",
            port=port,
            extra={"model": "m"},
        )
        good, message = DeepSeekOCRHook(test_timeout_s=PATIENCE_S).test_connection()
    assert (good, f"{server.url} serves m" in message) == (True, True), message


@pytest.mark.parametrize("engine", ["auto", "vllm"])
def test_a_command_runs_only_as_the_worker_allows(
    engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "servers"))
    monkeypatch.delenv("AIRFLOW__DEEPSEEK_OCR__ALLOW_COMMANDS", raising=False)
    command = f"touch {tmp_path / 'started'}"
    define_model(monkeypatch, "model", model=str(TINY_MODEL), engine=engine, vllm_command=command)
    for call in (DeepSeekOCRHook("model").get_conn, DeepSeekOCRHook("model").preflight):
        with pytest.raises(ConfigurationError, match="does not allow the program 'touch'"):
            call()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("AIRFLOW__DEEPSEEK_OCR__ALLOW_COMMANDS", f"/opt/vllm,{command}")
    DeepSeekOCRHook("model").get_conn().close()


def test_the_python_of_preflight_is_one_that_the_worker_allows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\n")
    python.chmod(0o755)
    define_model(monkeypatch, "model", model=str(TINY_MODEL), server_python=str(python))
    with pytest.raises(ConfigurationError, match="Python of the resident server"):
        DeepSeekOCRHook("model").preflight()
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        ({"extra": {"engine": "remote"}}, "needs the server's host"),
        ({"host": "127.0.0.1", "port": 9}, "No connection"),
        ({"extra": {"model": "no model"}}, "is no model"),
    ],
)
def test_the_connection_test_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any], expected: str
) -> None:
    define(monkeypatch, DEFAULT_CONN_ID, conn_type="deepseek_ocr", **connection)
    good, message = DeepSeekOCRHook(test_timeout_s=PATIENCE_S).test_connection()
    assert not good
    assert expected in message


def test_the_connection_test_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server accepts connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        define(
            monkeypatch,
            DEFAULT_CONN_ID,
            conn_type="deepseek_ocr",
            host="127.0.0.1",
            port=server.getsockname()[1],
        )
        good, message = DeepSeekOCRHook(test_timeout_s=0.2).test_connection()
    assert not good
    assert "No complete response in 0.2 s" in message


@pytest.mark.timeout(300)
def test_the_connection_test_needs_no_torch_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define(
        monkeypatch,
        DEFAULT_CONN_ID,
        conn_type="deepseek_ocr",
        extra={"model": str(TINY_MODEL), "engine": "resident"},
    )
    script = (
        "import sys\n"
        "from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook\n"
        "print(DeepSeekOCRHook().test_connection())\n"
        "print([name for name in ('torch', 'transformers', 'pypdfium2') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
        env=os.environ | {DIRECTORY_VARIABLE: str(tmp_path / "servers")},
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert '(False, "Not tested' in done.stdout
    assert not (tmp_path / "servers").exists()

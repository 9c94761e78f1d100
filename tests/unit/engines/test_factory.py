"""Which engine a connection means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.factory import (
    choose_engine,
    make_engine,
    remote_endpoint,
    server_spec,
)
from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.supervisor.resident_server import ResidentServerSpec
from airflow_deepseek_ocr.engines.supervisor.vllm_server import VllmServerSpec
from airflow_deepseek_ocr.exceptions import ConfigurationError
from tests.conftest import TINY_MODEL


@pytest.mark.parametrize(
    ("extra", "gpu", "host", "chosen"),
    [
        ({}, True, "server", "remote"),
        ({}, True, None, "vllm"),
        ({}, False, None, "resident"),
        ({"device": "cpu"}, True, None, "resident"),
        ({"vllm_command": "/no/vllm"}, True, None, "resident"),
        ({"engine": "in_process"}, True, None, "in_process"),
        ({"engine": "resident"}, True, None, "resident"),
        ({"engine": "vllm"}, False, None, "vllm"),
        ({"engine": "remote"}, False, "server", "remote"),
    ],
)
def test_what_auto_means(extra: dict[str, Any], gpu: bool, host: str, chosen: str) -> None:
    # Any program that exists stands for vLLM.
    settings = Settings.of({"vllm_command": "sh", **extra}, host=host)
    assert choose_engine(settings, gpu_present=lambda: gpu) == chosen


def test_a_host_and_an_engine_of_the_worker_contradict_each_other() -> None:
    with pytest.raises(ConfigurationError, match="needs the server's host"):
        Settings.of({"engine": "remote"})
    for engine in ("in_process", "resident", "vllm"):
        with pytest.raises(ConfigurationError, match="empty the host"):
            Settings.of({"engine": engine}, host="server")


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("ocr", 8000, "http://ocr:8000"),
        ("ocr", None, "http://ocr"),
        ("https://ocr.example.com", None, "https://ocr.example.com"),
        ("https://ocr.example.com/", 8443, "https://ocr.example.com:8443"),
        ("https://ocr.example.com/deep/v1", 1443, "https://ocr.example.com:1443/deep"),
    ],
)
def test_where_the_server_is(host: str, port: int | None, url: str) -> None:
    endpoint = remote_endpoint(Settings.of({}, "s3cret", host=host, port=port, login="me"))
    assert (endpoint.url, endpoint.secret, endpoint.login) == (url, "s3cret", "me")
    assert "s3cret" not in repr(endpoint)


def test_secrets_that_would_be_shown_are_refused_without_showing_them() -> None:
    for secret in ("schlüssel", "two\nlines", " blank"):
        with pytest.raises(ConfigurationError) as caught:
            remote_endpoint(Settings.of({}, secret, host="ocr"))
        assert secret.strip() not in str(caught.value)
    with pytest.raises(ConfigurationError, match="http"):
        remote_endpoint(Settings.of({}, host="ftp://ocr"))


def test_the_password_is_for_the_server_or_for_the_hub() -> None:
    here, there = Settings.of({}, "p"), Settings.of({}, "p", host="ocr")
    assert (here.hub_token, here.api_key) == ("p", None)
    assert (there.hub_token, there.api_key) == (None, "p")
    assert "'p'" not in repr(here) + repr(there)


def test_a_remote_server_needs_no_weights_here() -> None:
    def fetch() -> Path:
        raise AssertionError("fetched")

    engine = make_engine(Settings.of({"batch_size": 3}, host="ocr"), fetch)
    assert isinstance(engine, HttpEngine)


def test_settings_reach_the_server() -> None:
    settings = Settings.of(
        {"model": "m", "device": "cuda:1", "dtype": "float16", "batch_size": 3, "idle_seconds": 5,
         "server_python": "/p", "vllm_command": "v", "vllm_options": "--o 1"}
    )  # fmt: skip
    assert server_spec(settings, "resident", TINY_MODEL) == ResidentServerSpec(
        model_directory=TINY_MODEL,
        model="m",
        device="cuda:1",
        dtype="float16",
        batch_size=3,
        idle_s=5,
        python="/p",
    )
    assert server_spec(settings, "vllm", TINY_MODEL) == VllmServerSpec(
        model_directory=TINY_MODEL,
        model="m",
        device="cuda:1",
        dtype="float16",
        batch_size=3,
        idle_s=5,
        command="v",
        options="--o 1",
    )

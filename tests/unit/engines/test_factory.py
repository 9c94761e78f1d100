"""The engine that a connection asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.balancing.engine import BalancedEngine
from airflow_deepseek_ocr.engines.factory import (
    choose_engine,
    make_engine,
    remote_endpoint,
    server_spec,
)
from airflow_deepseek_ocr.engines.supervisor.registry import DIRECTORY_VARIABLE
from airflow_deepseek_ocr.engines.supervisor.resident_server import ResidentServerSpec
from airflow_deepseek_ocr.engines.supervisor.vllm_server import VllmServerSpec
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.conftest import TINY_MODEL
from tests.support.fakes.fault_server import TEXT, Faults, fault_server


@pytest.mark.parametrize(
    ("extra", "gpu", "torch", "host", "chosen"),
    [
        ({}, True, True, "server", "remote"),
        ({}, True, True, None, "resident"),
        ({}, True, False, None, "vllm"),
        ({}, False, False, None, "resident"),
        ({"device": "cpu"}, True, False, None, "resident"),
        ({"server_python": "/opt/ocr/bin/python"}, True, False, None, "resident"),
        ({"vllm_command": "/no/vllm"}, True, False, None, "resident"),
        ({"engine": "in_process"}, True, True, None, "in_process"),
        ({"engine": "resident"}, True, False, None, "resident"),
        ({"engine": "vllm"}, False, True, None, "vllm"),
        ({"engine": "remote"}, False, True, "server", "remote"),
    ],
)
def test_the_engine_of_a_connection(
    extra: dict[str, Any], gpu: bool, torch: bool, host: str, chosen: str
) -> None:
    # Any program that exists stands for vLLM.
    settings = Settings.of({"vllm_command": "sh", **extra}, host=host)
    engine = choose_engine(settings, gpu_present=lambda: gpu, torch_for_gpu=lambda: torch)
    assert engine == chosen


@pytest.mark.parametrize(("torch", "transformers"), [(True, True), (True, False), (False, True)])
def test_a_python_that_can_run_the_model_on_a_gpu_makes_vllm_unnecessary(
    torch: bool, transformers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_deepseek_ocr.engines.factory.has_cuda_torch", lambda: torch)
    found = "json" if transformers else "no_such_module"
    monkeypatch.setattr("airflow_deepseek_ocr.engines.factory._MODEL_PACKAGE", found)
    chosen = choose_engine(Settings.of({"vllm_command": "sh"}), gpu_present=lambda: True)
    assert chosen == ("resident" if torch and transformers else "vllm")


def test_a_host_and_an_engine_of_the_worker_contradict_each_other() -> None:
    with pytest.raises(ConfigurationError, match="needs the server's host"):
        Settings.of({"engine": "remote"})
    for engine in ("in_process", "resident", "vllm"):
        with pytest.raises(ConfigurationError, match="Empty the host"):
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
def test_the_address_of_a_remote_server(host: str, port: int | None, url: str) -> None:
    endpoint = remote_endpoint(Settings.of({}, "s3cret", host=host, port=port, login="me"))
    assert (endpoint.url, endpoint.api_key, endpoint.login) == (url, "s3cret", "me")
    assert "s3cret" not in repr(endpoint)


def test_a_server_behind_a_socket() -> None:
    host = "unix:///run/deepseek-ocr/server.sock"
    endpoint = remote_endpoint(Settings.of({}, "s3cret", host=host))
    assert endpoint.socket_path == Path("/run/deepseek-ocr/server.sock")
    assert (endpoint.address, endpoint.api_key, endpoint.local) == (host, "s3cret", True)
    assert choose_engine(Settings.of({}, host=host)) == "remote"
    # Airflow 3.3.2 tests no saved connection without a port; 0 stands for none.
    assert remote_endpoint(Settings.of({}, "s3cret", host=host, port=0)) == endpoint


def test_names_that_the_http_client_refuses_are_refused_before() -> None:
    """Python's codec encodes it, and the one of the client does not."""
    with pytest.raises(ConfigurationError, match="characters that no host name has"):
        remote_endpoint(Settings.of({}, host="\u2174\u0660a.example"))


def test_the_authorities_of_a_server_with_tls() -> None:
    extra = {"ca_certificates": "/etc/ocr/ca.pem"}
    endpoint = remote_endpoint(Settings.of(extra, host="https://ocr", port=8808))
    assert endpoint.ca_certificates == Path("/etc/ocr/ca.pem")
    for host in ("ocr", "http://ocr", "unix:///s"):
        with pytest.raises(ConfigurationError, match="CA certificates") as caught:
            remote_endpoint(Settings.of(extra, host=host))
        assert caught.value.code is ErrorCode.CONNECTION


def test_passwords_that_no_header_can_carry_are_refused_without_quoting_them() -> None:
    for password in ("schlüssel", "two\nlines", " blank"):
        with pytest.raises(ConfigurationError) as caught:
            remote_endpoint(Settings.of({}, password, host="ocr"))
        assert password.strip() not in str(caught.value)
    with pytest.raises(ConfigurationError, match="http"):
        remote_endpoint(Settings.of({}, host="ftp://ocr"))


def test_the_password_is_for_the_server_or_for_the_hub() -> None:
    here, there = Settings.of({}, "p"), Settings.of({}, "p", host="ocr")
    assert (here.hub_token, here.api_key) == ("p", None)
    assert (there.hub_token, there.api_key) == (None, "p")
    assert "'p'" not in repr(here) + repr(there)


def test_a_remote_engine_uses_the_connections_server() -> None:
    """The weights are not fetched; the settings are in the request."""

    def fetch() -> Path:
        pytest.fail("the weights were fetched")

    with fault_server(Faults(card={"id": "m", "max_model_len": 8192}, api_key="key")) as server:
        settings = Settings.of(
            {"model": "m", "max_output_length": 77, "batch_size": 1},
            "key",
            host=server.url,
        )
        engine = make_engine(settings, fetch)
        request = PageRequest(
            key=1, image=Image.new("RGB", (50, 50)), prompt="free", resolution="gundam"
        )
        (output,) = engine.read([request])
        assert (output.error, output.text) == (None, TEXT)
        (body,) = server.pages
        assert (body["model"], body["max_tokens"]) == ("m", 77)
        assert list(engine.read([request] * 3))
        assert server.most_in_flight == 1, "the batch size bounds the pages in flight"


def test_a_remote_engine_reports_a_wrong_api_key() -> None:
    with fault_server(Faults(card={"id": "m"}, api_key="key")) as server:
        settings = Settings.of({"model": "m"}, "other", host=server.url)
        with pytest.raises(ConfigurationError) as caught:
            make_engine(settings, lambda: TINY_MODEL).modes()
        assert caught.value.code is ErrorCode.SERVER_API_KEY
        assert "other" not in str(caught.value)


def test_a_managed_server_is_started_at_the_first_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "s"))
    settings = Settings.of(
        {"model": str(TINY_MODEL), "engine": "resident", "server_python": "/nowhere/python"}
    )
    engine = make_engine(settings, lambda: TINY_MODEL)
    assert list((tmp_path / "s").iterdir()) == []
    with pytest.raises(ConfigurationError, match="/nowhere/python") as caught:
        engine.modes()
    assert caught.value.code is ErrorCode.SERVER_COMMAND


def test_another_model_than_the_settings_are_for_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "servers"))
    for engine in ("in_process", "resident", "vllm"):
        settings = Settings.of({"engine": engine, "model": "/models/DeepSeek-OCR-2"})
        with pytest.raises(ConfigurationError, match="model family to deepseek_ocr, ") as caught:
            make_engine(settings, lambda: TINY_MODEL)
        assert caught.value.code is ErrorCode.MODEL_FAMILY
    assert not (tmp_path / "servers").exists()


def test_a_fetch_that_fails_is_raised_before_a_server_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "servers"))

    def fetch() -> Path:
        raise UnavailableError(ErrorCode.MODEL_UNAVAILABLE, "No network.")

    for engine in ("in_process", "resident", "vllm"):
        with pytest.raises(UnavailableError, match="No network"):
            make_engine(Settings.of({"engine": engine}), fetch)
    assert not (tmp_path / "servers").exists()


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


def test_several_devices_have_a_server_each() -> None:
    engine = make_engine(
        Settings.of({"engine": "resident", "device": "cuda:0,cuda:1"}), lambda: TINY_MODEL
    )
    assert isinstance(engine, BalancedEngine)
    assert engine.names == ("cuda:0", "cuda:1")


@pytest.mark.parametrize("device", ["all", "cuda:0,cuda:1"])
def test_one_process_does_not_use_several_devices(device: str) -> None:
    with pytest.raises(ConfigurationError, match="needs a server for each GPU") as raised:
        make_engine(Settings.of({"engine": "in_process", "device": device}), lambda: TINY_MODEL)
    assert raised.value.code == ErrorCode.DEVICE


def test_all_gpus_of_a_host_without_one_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigurationError, match="sees no GPU"):
        make_engine(Settings.of({"engine": "resident", "device": "all"}), lambda: TINY_MODEL)


def test_pages_are_spread_over_the_servers_of_the_host() -> None:
    card = {"id": "m", "max_model_len": 8192}
    with fault_server(Faults(card=card)) as first, fault_server(Faults(card=card)) as second:
        settings = Settings.of({"model": "m"}, host=f"{first.url}, {second.url},{first.url}")
        engine = make_engine(settings, lambda: TINY_MODEL)
        assert isinstance(engine, BalancedEngine)
        assert engine.names == (first.url, second.url)
        assert engine.modes() == ("gundam",)
        requests = [
            PageRequest(
                key=number, image=Image.new("RGB", (50, 50)), prompt="free", resolution="gundam"
            )
            for number in range(40)
        ]
        outputs = list(engine.read(requests))
        assert sorted(each.key for each in outputs) == list(range(40))
        assert len(first.pages) + len(second.pages) == 40
        assert min(len(first.pages), len(second.pages)) > 5


def test_a_server_that_is_away_leaves_the_pages_to_the_others() -> None:
    with fault_server(Faults(card={"id": "m", "max_model_len": 8192})) as server:
        settings = Settings.of({"model": "m"}, host=f"http://127.0.0.1:9,{server.url}")
        engine = make_engine(settings, lambda: TINY_MODEL)
        request = PageRequest(
            key=1, image=Image.new("RGB", (50, 50)), prompt="free", resolution="gundam"
        )
        assert [output.text for output in engine.read([request])] == [TEXT]

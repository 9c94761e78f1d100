"""Checks of the server that runs the model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.factory import server_spec
from airflow_deepseek_ocr.engines.protocol.api_key import create_api_key
from airflow_deepseek_ocr.engines.supervisor.registry import DIRECTORY_VARIABLE, servers_directory
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.checks import all_checks
from airflow_deepseek_ocr.preflight.server import (
    PATIENT,
    QUICK,
    check_vllm_command,
    describe_host_server,
    describe_remote_server,
)
from tests.conftest import TINY_MODEL
from tests.support.fakes.fault_server import Faults, fault_server
from tests.support.fixtures.server_records import own_record
from tests.unit.preflight.conftest import settings


@pytest.fixture
def server() -> Iterator[Faults]:
    with fault_server(Faults(card={"id": "m"})) as faults:
        yield faults


def remote(server: Faults, api_key: str | None = None, **extra: Any) -> Settings:
    port = int(server.url.rpartition(":")[2])
    return Settings.of({"model": "m", **extra}, api_key, host="127.0.0.1", port=port)


def quick(settings: Settings) -> str:
    return describe_remote_server(settings, QUICK, probe_no_repeat_ngram=False)


def test_the_quick_line_generates_no_token(server: Faults) -> None:
    line = quick(remote(server))
    assert line == (
        f"{server.url} serves m (vLLM or a compatible server), a DeepSeek-OCR; modes: gundam."
    )
    assert server.requests == []


def test_the_full_line_names_modes_and_constraint(server: Faults) -> None:
    server.modes = "read"
    line = describe_remote_server(remote(server), PATIENT, probe_no_repeat_ngram=True)
    assert "modes: tiny, small, base, large, gundam;" in line
    assert line.endswith(
        "the no-repeat-n-gram constraint is active; it returns probabilities of tokens."
    )


def test_a_mode_that_the_server_does_not_name_is_tried(server: Faults) -> None:
    server.modes = "read"
    assert "modes: tiny, small" in quick(remote(server, resolution="tiny"))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        ({"model": "n"}, ErrorCode.SERVER_MODEL, "Models there: m"),
        ({"resolution": "tiny"}, ErrorCode.SERVER_MODE, "gundam only"),
    ],
)
def test_a_setting_that_the_server_cannot_fulfil(
    server: Faults, extra: dict[str, str], code: ErrorCode, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        quick(remote(server, **extra))
    assert caught.value.code is code


def test_a_server_without_the_constraint_is_refused(server: Faults) -> None:
    server.no_repeat_ngram = False
    with pytest.raises(ConfigurationError, match="NGramPerReqLogitsProcessor"):
        describe_remote_server(remote(server), PATIENT, probe_no_repeat_ngram=True)


def test_a_server_that_is_away() -> None:
    with pytest.raises(UnavailableError, match="No connection") as caught:
        quick(Settings.of({"model": "m"}, host="127.0.0.1", port=9))
    assert caught.value.code is ErrorCode.SERVER_UNREACHABLE


def test_a_worker_must_have_the_paths(tmp_path: Path) -> None:
    socket, ca = tmp_path / "s.sock", tmp_path / "ca.pem"
    check = _server_check(Settings.of({}, host=f"unix://{socket}"))
    assert (check.level, "There is no socket" in check.message) == (Level.FAILURE, True)
    with_tls = Settings.of({"ca_certificates": str(ca)}, host="https://127.0.0.1:9")
    check = _server_check(with_tls)
    assert (check.level, str(ca) in check.message) == (Level.FAILURE, True)


def test_each_server_of_the_host_has_a_check(server: Faults) -> None:
    both = Settings.of({"model": "m"}, host=f"{server.url},http://127.0.0.1:9")
    levels = [each.level for each in all_checks(both) if each.name == "server"]
    assert levels == [Level.OK, Level.FAILURE]


def test_the_server_of_this_host(
    server: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "servers"))
    resident = settings(engine="resident", device="cpu")
    none = "No server runs on this host; the first task"
    assert describe_host_server(resident, "resident").startswith(none)
    record = own_record(
        servers_directory(),
        key=server_spec(resident, "resident", TINY_MODEL).key,  # type: ignore[arg-type]
        url=server.url,
    )
    record.save(servers_directory())
    server.card["id"] = str(TINY_MODEL)
    create_api_key(Path(record.api_key_file))
    line = describe_host_server(resident, "resident")
    assert f"is ready on this host: process {os.getpid()}" in line
    own_record(servers_directory(), key=record.key, created=0.0).save(servers_directory())
    assert describe_host_server(resident, "resident").startswith(none), "its process has ended"


def test_a_host_without_the_weights_has_no_server() -> None:
    missing = Settings.of({"model": "/nowhere/model"})
    assert "fetched the weights" in describe_host_server(missing, "resident")


def test_the_program_vllm() -> None:
    found = check_vllm_command(settings(vllm_command="sh -x"))
    assert (found.level, "/sh" in found.message) == (Level.OK, True)
    missing = check_vllm_command(settings(vllm_command="/no/vllm"))
    assert missing.level is Level.FAILURE
    assert "vLLM command" in missing.message


def _server_check(settings_: Settings) -> Check:
    (check,) = (each for each in all_checks(settings_) if each.name == "server")
    return check

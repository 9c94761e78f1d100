"""Programs that a connection names, and this worker's configuration."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from airflow_deepseek_ocr.airflow_support.allowed_commands import (
    ALLOW_COMMANDS,
    require_allowed_commands,
)
from airflow_deepseek_ocr.airflow_support.results_database import CONFIG_SECTION
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.get_provider_info import get_provider_info

VARIABLE = "AIRFLOW__DEEPSEEK_OCR__ALLOW_COMMANDS"


@pytest.mark.parametrize(
    "extra",
    [
        {"vllm_command": "/opt/vllm/bin/vllm"},
        {"vllm_command": "sh -c 'env > /tmp/x'", "engine": "vllm"},
        {"vllm_command": "vllm --version"},
        {"server_python": "/opt/ocr/bin/python"},
        {"server_python": "/bin/sh", "engine": "resident"},
        {"server_python": "/bin/sh", "engine": "in_process"},
    ],
)
def test_a_program_is_refused_without_configuration(
    extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ConfigurationError, match=rf"does not allow.*{VARIABLE}") as caught:
        require_allowed_commands(Settings.of(extra))
    assert caught.value.code is ErrorCode.SERVER_COMMAND
    monkeypatch.setenv(VARIABLE, "/opt/other/vllm")
    with pytest.raises(ConfigurationError, match="does not allow"):
        require_allowed_commands(Settings.of(extra))


@pytest.mark.parametrize(
    ("listed", "extra"),
    [
        ("", {}),
        ("", {"vllm_command": " vllm ", "vllm_options": "--enforce-eager"}),
        ("", {"vllm_command": "/bin/sh", "engine": "resident"}),
        ("/opt/vllm/bin/vllm", {"vllm_command": "/opt/vllm/bin/vllm"}),
        ("/a, /opt/py -m vllm", {"vllm_command": "/opt/py  -m 'vllm'", "engine": "vllm"}),
        ("/a,/opt/ocr/bin/python", {"server_python": "/opt/ocr/bin/python"}),
        ("", {"server_python": sys.executable}),
        ("/a b,'/a b'", {"server_python": "/a b"}),
        ("/opt/run 'a,b'\n, /c", {"vllm_command": "/opt/run a,b"}),
        ("/x#1,", {"vllm_command": "/x#1"}),
    ],
)
def test_listed_commands_and_the_defaults_are_allowed(
    listed: str, extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, listed)
    require_allowed_commands(Settings.of(extra))


@pytest.mark.parametrize(
    "command", ["/opt/py -c 'x'", "/opt/py", "/opt/../bin/sh", "/opt/py -m vllm x"]
)
def test_the_whole_command_must_be_listed(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/opt/py -m vllm,,' '")
    with pytest.raises(ConfigurationError, match="does not allow"):
        require_allowed_commands(Settings.of({"vllm_command": command}))


@pytest.mark.parametrize("engine", ["auto", "vllm"])
def test_refused_options_are_known_before_the_model_is_fetched(engine: str) -> None:
    with pytest.raises(ConfigurationError, match="options have --host"):
        require_allowed_commands(Settings.of({"engine": engine, "vllm_options": "--host ::"}))


def test_a_remote_server_starts_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    require_allowed_commands(Settings.of({"vllm_command": "/bin/sh"}, host="ocr"))


def test_a_configuration_that_cannot_be_parsed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "'/opt")
    with pytest.raises(ConfigurationError, match=r"allow_commands.*quotation"):
        require_allowed_commands(Settings.of({"server_python": "/p"}))


def test_the_option_is_the_one_of_the_providers_metadata() -> None:
    assert ALLOW_COMMANDS in get_provider_info()["config"][CONFIG_SECTION]["options"]

"""The resident server's command and identity."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.supervisor.resident_server import ResidentServerSpec
from airflow_deepseek_ocr.engines.supervisor.server_spec import ServerPaths
from airflow_deepseek_ocr.exceptions import MissingExtraError
from tests.conftest import TINY_MODEL

SPEC = ResidentServerSpec(model_directory=TINY_MODEL, model="tiny", device="cpu", idle_s=60)
PATHS = ServerPaths(
    socket=Path("/r/k.sock"),
    api_key_file=Path("/r/k.api_key"),
    record_file=Path("/r/k.json"),
    log_file=Path("/r/k.log"),
)


def test_the_command_of_this_python() -> None:
    command = SPEC.launch_command(PATHS)
    assert command.arguments == [
        sys.executable, "-P", "-m", "airflow_deepseek_ocr.cli", "serve", str(TINY_MODEL),
        "--name", "tiny", "--device", "cpu", "--dtype", "auto", "--socket", "/r/k.sock",
        "--api-key-file", "/r/k.api_key", "--idle-seconds", "60", "--record", "/r/k.json",
    ]  # fmt: skip
    assert command.socket == PATHS.socket
    assert command.environment == {"PYTHONUNBUFFERED": "1"}


def test_the_command_of_another_python_has_none_of_this_ones_modules() -> None:
    command = replace(SPEC, python="/p", revision="r", batch_size=3).launch_command(PATHS)
    assert command.arguments[0] == "/p"
    assert command.arguments[6:12] == ["--name", "tiny", "--revision", "r", "--device", "cpu"]
    assert "--batch-size" in command.arguments
    assert command.environment == {
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": None,
        "PYTHONHOME": None,
    }


def test_a_missing_extra_is_named_unless_another_python_runs_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"torch .*\[transformers\]"):
        SPEC.launch_command(PATHS)
    replace(SPEC, python="/p").launch_command(PATHS)


@pytest.mark.parametrize(("device", "usual"), [("cpu", "float32"), ("cuda:0", "bfloat16")])
def test_the_default_dtype_of_a_device_is_the_same_server(
    device: str, usual: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    spec = replace(SPEC, device=device)
    assert spec.key == replace(spec, dtype=usual).key != replace(spec, dtype="float16").key


def test_tasks_of_another_python_share_the_server() -> None:
    assert replace(SPEC, python="/p").key == SPEC.key


def test_the_description() -> None:
    assert replace(SPEC, revision="r").description == "tiny at r on cpu (auto)"

"""vLLM's command and options."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.protocol.chat_completions import PUBLISHED_TABLE_CELLS
from airflow_deepseek_ocr.engines.protocol.endpoint import SOCKET_URL
from airflow_deepseek_ocr.engines.supervisor.server_spec import ServerPaths
from airflow_deepseek_ocr.engines.supervisor.vllm_server import VllmServerSpec, table_cells
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from tests.conftest import TINY_MODEL

SPEC = VllmServerSpec(
    model_directory=TINY_MODEL,
    model="m",
    idle_s=60,
    command="/v/python -m vllm",
    options="--seed '1 2'",
)
PATHS = ServerPaths(
    socket=Path("/r/k.sock"),
    api_key_file=Path("/r/k.api_key"),
    record_file=Path("/r/k.json"),
    log_file=Path("/r/k.log"),
)


def test_the_watchdog_runs_vllm() -> None:
    command = SPEC.launch_command(PATHS)
    arguments = list(command.arguments)
    at = arguments.index("--")
    assert arguments[:4] == [
        sys.executable,
        "-P",
        "-m",
        "airflow_deepseek_ocr.engines.supervisor.vllm_watchdog",
    ]
    assert arguments[at + 1 : at + 6] == ["/v/python", "-m", "vllm", "serve", str(TINY_MODEL)]
    assert arguments[-2:] == ["--seed", "1 2"], "as a shell splits them"
    socket = str(PATHS.socket)
    assert arguments[arguments.index("--socket") + 1] == socket, "the watchdog's"
    assert arguments[arguments.index("--uds") + 1] == socket, "vLLM's"
    assert command.socket == PATHS.socket
    assert command.url == SOCKET_URL
    assert not {"--host", "--port"} & set(arguments)


def test_the_batch_size_is_given_only_if_it_is_set() -> None:
    assert "--max-num-seqs" not in SPEC.launch_command(PATHS).arguments
    arguments = list(replace(SPEC, batch_size=7).launch_command(PATHS).arguments)
    assert arguments[arguments.index("--max-num-seqs") + 1] == "7"


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [
        ("cuda:1", "4,5", "5"),
        ("cuda:0", "GPU-a,GPU-b", "GPU-a"),
        ("cuda:1", None, "1"),
        ("auto", None, None),
        ("cuda", None, None),
    ],
)
def test_vllm_sees_the_gpu_of_a_numbered_device_alone(
    device: str, visible: str | None, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    environment = replace(SPEC, device=device).launch_command(PATHS).environment
    assert environment.get("CUDA_VISIBLE_DEVICES") == expected


@pytest.mark.parametrize(
    ("variable", "ours", "other"),
    [("VLLM_USE_V2_MODEL_RUNNER", "0", "1"), ("TRITON_ALLOW_NON_CONSTEXPR_GLOBALS", "1", "0")],
)
def test_a_variable_of_the_worker_wins(
    variable: str, ours: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable, raising=False)
    assert SPEC.launch_command(PATHS).environment[variable] == ours
    monkeypatch.setenv(variable, other)
    assert SPEC.launch_command(PATHS).environment[variable] == other


@pytest.mark.parametrize("wrong", [{"options": '--x "'}, {"command": "vllm '"}])
def test_an_open_quotation_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="quotation") as caught:
        replace(SPEC, **wrong).launch_command(PATHS)  # type: ignore[arg-type]
    assert caught.value.code is ErrorCode.CONNECTION


def test_other_options_are_another_server() -> None:
    specs = (SPEC, replace(SPEC, options=""), replace(SPEC, command="vllm"))
    assert len({spec.key for spec in specs}) == 3
    assert SPEC.description == "m in vLLM"


def test_tokens_of_table_cells_are_the_models(tmp_path: Path) -> None:
    tokens = json.loads((TINY_MODEL / "tokenizer.json").read_text())["added_tokens"]
    ids = {each["content"]: each["id"] for each in tokens}
    assert table_cells(TINY_MODEL) == (ids["<td>"], ids["</td>"])
    (tmp_path / "tokenizer.json").write_text("{}")
    assert table_cells(tmp_path) == PUBLISHED_TABLE_CELLS

"""What every server specification gives the supervisor."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.supervisor.resident_server import ResidentServerSpec
from airflow_deepseek_ocr.engines.supervisor.server_spec import ServerPaths, ServerSpec
from airflow_deepseek_ocr.engines.supervisor.vllm_server import VllmServerSpec
from tests.conftest import TINY_MODEL

SPECS: list[ServerSpec] = [
    ResidentServerSpec(model_directory=TINY_MODEL, model="m", device="cpu", idle_s=60),
    VllmServerSpec(model_directory=TINY_MODEL, model="m", idle_s=60),
]


def run(program: Sequence[str], directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(program, cwd=directory, capture_output=True, text=True, timeout=300)


@pytest.fixture
def paths(tmp_path: Path) -> ServerPaths:
    return ServerPaths(
        socket=tmp_path / "s.sock",
        api_key_file=tmp_path / "s.api_key",
        record_file=tmp_path / "s.json",
        log_file=tmp_path / "s.log",
    )


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_a_command_names_the_files_and_no_key(spec: ServerSpec, paths: ServerPaths) -> None:
    paths.api_key_file.write_text("k3y")
    command = spec.launch_command(paths)
    arguments = list(command.arguments)
    assert arguments[arguments.index("--api-key-file") + 1] == str(paths.api_key_file)
    assert arguments[arguments.index("--record") + 1] == str(paths.record_file)
    assert arguments[arguments.index("--idle-seconds") + 1] == "60"
    assert "k3y" not in " ".join(arguments) + str(command.environment)
    assert command.url.startswith("http://")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_files_in_the_working_directory_are_not_imported(
    spec: ServerSpec, paths: ServerPaths, tmp_path: Path
) -> None:
    for name in ("json.py", "httpx.py", "airflow_deepseek_ocr.py"):
        (tmp_path / name).write_text("raise SystemExit('a stranger was imported')")
    arguments = list(spec.launch_command(paths).arguments)
    program = [*arguments[: arguments.index("-m") + 2], "--help"]
    done = run(program, tmp_path)
    assert done.returncode == 0, done.stderr
    unprotected = run([word for word in program if word != "-P"], tmp_path)
    assert "a stranger was imported" in unprotected.stderr

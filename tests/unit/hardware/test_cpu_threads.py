"""How torch's threads wait."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from airflow_deepseek_ocr.hardware import cpu_threads
from airflow_deepseek_ocr.hardware.cpu_threads import WAITING, limit_threads, sleep_while_waiting
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("device", "gpu", "changed"),
    [
        ("cpu", True, True),
        ("auto", False, True),
        ("auto", True, False),
        ("cuda:1", True, False),
        ("all", True, False),
    ],
)
def test_threads_sleep_if_the_model_runs_on_the_cpu(device: str, gpu: bool, changed: bool) -> None:
    environment: dict[str, str] = {}
    sleep_while_waiting(device, environment, lambda: gpu)
    assert environment == (WAITING if changed else {})


def test_the_users_policy_is_kept() -> None:
    environment = {"OMP_WAIT_POLICY": "active"}
    sleep_while_waiting("cpu", environment)
    assert environment == WAITING | {"OMP_WAIT_POLICY": "active"}


def test_the_variables_are_set_before_torch_is_loaded() -> None:
    """OpenMP says at its start which policy it took."""
    code = (
        "from pathlib import Path\n"
        "from airflow_deepseek_ocr.engines.in_process.engine_cache import EngineKey, cached_engine\n"
        "from airflow_deepseek_ocr.ocr.decoding import Decoding\n"
        "key = EngineKey(Path('/no/model'), 'cpu', 'auto', None, Decoding())\n"
        "try:\n    cached_engine(key)\n"
        "except Exception as error:\n    print(type(error).__name__)\n"
    )
    clean = {name: value for name, value in os.environ.items() if name not in WAITING}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | {"OMP_DISPLAY_ENV": "true"},
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "UnavailableError"
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr


@pytest.mark.parametrize(("variable", "left"), [(None, 1), ("4", 4)])
def test_threads_are_not_more_than_the_cores_of_a_container(
    variable: str | None, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    before = torch.get_num_threads()
    monkeypatch.setattr(cpu_threads, "usable_cores", lambda: 1)
    if variable is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    try:
        torch.set_num_threads(4)
        limit_threads()
        assert torch.get_num_threads() == left
    finally:
        torch.set_num_threads(before)

"""Preflight's output on an NVIDIA Spark, from the data that such hosts report; the guide quotes it.

usage: python -m tests.support.spark_preflight
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from unittest import mock

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.supervisor.registry import DIRECTORY_VARIABLE
from airflow_deepseek_ocr.model.weights.source import DEFAULT_MODEL, DEFAULT_REVISION
from airflow_deepseek_ocr.preflight.checks import all_checks
from airflow_deepseek_ocr.preflight.host import Host
from tests.conftest import GOLDEN
from tests.unit.preflight.conftest import GB10, GB10_TORCH, host

PYTHON = "/opt/ocr/bin/python"
#: Size of the published weights.
_WEIGHTS_BYTES = 6_672_547_120


def ready() -> list[str]:
    """Return the lines of a Spark with a torch for it."""
    return _lines(_spark())


def with_older_torch() -> list[str]:
    """Return the lines of a Spark with a torch without CUDA."""
    return _lines(
        _spark(torch="2.10.0", cuda=None, capabilities=(), kernels=(), triton=None, bfloat16=False)
    )


def with_vllm() -> list[str]:
    """Return the lines of a Spark whose connection has the engine vllm."""
    # Any program that exists stands for vLLM.
    return [line for line in _lines(_spark(), engine="vllm", vllm_command="sh") if " vllm " in line]


def _spark(**torch: object) -> Host:
    values = GB10_TORCH | torch
    return host([GB10], driver="580.95.05", available_bytes=118_600_000_000, **values)


def _lines(spark: Host, **extra: str) -> list[str]:
    with tempfile.TemporaryDirectory() as directory:
        cache = Path(directory)
        _published_model(cache)
        environment = {DIRECTORY_VARIABLE: str(cache / "servers"), "HF_HUB_OFFLINE": "1"}
        settings = Settings.of({"cache_dir": str(cache), "server_python": PYTHON, **extra})
        with mock.patch.dict(os.environ, environment):
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)
            return [
                f"{check.level:<8} {check.name:<10} {check.message}"
                for check in all_checks(settings, host=spark)
                if check.name != "sandbox"  # of this host's kernel, not of a Spark's
            ]


def _published_model(cache: Path) -> None:
    """Make a cache that has files of the published sizes; the weights are a hole."""
    name = f"models--{DEFAULT_MODEL.replace('/', '--')}"
    snapshot = cache / "hub" / name / "snapshots" / DEFAULT_REVISION
    snapshot.mkdir(parents=True)
    shutil.copy(GOLDEN[0] / "config.json", snapshot)
    (snapshot / "tokenizer.json").write_text("{}")
    length = _WEIGHTS_BYTES - 4096
    header = json.dumps({"w": {"dtype": "U8", "shape": [length], "data_offsets": [0, length]}})
    with (snapshot / "model.safetensors").open("wb") as weights:
        weights.write((4096 - 8).to_bytes(8, "little") + header.ljust(4096 - 8).encode())
        weights.truncate(_WEIGHTS_BYTES)


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        for lines in (ready(), with_older_torch(), with_vllm()):
            print("\n".join(lines), end="\n\n")

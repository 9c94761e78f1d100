"""Hosts and settings for the preflight checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.hardware.gpu import Gpu
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.host import Host
from airflow_deepseek_ocr.preflight.torch_probe import TorchInstallation
from tests.conftest import TINY_MODEL

GB10 = Gpu(0, "NVIDIA GB10", (12, 1), None, None)
#: torch of NVIDIA Spark: its warning gives the range 8.0 to 12.0 (vllm-project/vllm#39919).
GB10_TORCH: dict[str, Any] = {
    "torch": "2.11.0+cu130",
    "kernels": ("sm_80", "sm_90", "sm_100", "sm_110", "sm_120"),
    "capabilities": ((12, 1),),
    "machine": "aarch64",
}
H100 = Gpu(0, "NVIDIA H100", (9, 0), 80_000_000_000, 70_000_000_000)

HostWithGpus = Callable[..., Host]


def settings(**extra: Any) -> Settings:
    """Return the settings of a connection that reads in-process with the small checkpoint."""
    return Settings.of({"model": str(TINY_MODEL), "engine": "in_process", **extra})


def levels(checks: Iterable[Check]) -> dict[str, Level]:
    return {check.name: check.level for check in checks}


def failures(checks: Iterable[Check]) -> dict[str, str]:
    return {check.name: check.message for check in checks if check.level is Level.FAILURE}


def host(
    gpus: list[Gpu] | Exception,
    *,
    driver: str = "580.1",
    available_bytes: int = 32_000_000_000,
    **torch: Any,
) -> Host:
    """Return a host with these GPUs.

    :param gpus: all GPUs, or the error of asking for them.
    :param driver: version of the driver.
    :param available_bytes: available memory.
    :param torch: differences from a torch that has kernels for an H100.
    """
    values = {
        "torch": "2.13",
        "transformers": "5.23",
        "package": __version__,
        "cuda": "13.0",
        "kernels": ("sm_90",),
        "capabilities": ((9, 0),),
        "bfloat16": True,
        "machine": "x86_64",
        "triton": "3.6.0",
        "c_compiler": True,
        "python_headers": True,
    }
    installed = TorchInstallation(**values | torch)

    def driver_and_gpus() -> tuple[str, list[Gpu]]:
        if isinstance(gpus, Exception):
            raise gpus
        return driver, gpus

    return Host(
        has_gpu=lambda: True,
        driver_and_gpus=driver_and_gpus,
        probe_torch=lambda _: installed,
        available_bytes=lambda: available_bytes,
    )


@pytest.fixture(autouse=True)
def all_gpus_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

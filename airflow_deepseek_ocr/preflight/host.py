"""Answers of this host that the checks depend on: its GPUs, and torch in the Python that runs the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from airflow_deepseek_ocr.hardware.gpu import Gpu, driver_and_gpus, has_gpu
from airflow_deepseek_ocr.preflight.torch_probe import TorchInstallation, probe_torch


def _available_bytes() -> int:
    return int(psutil.virtual_memory().available)


@dataclass(frozen=True)
class Host:
    """Functions that ask this host; tests pass other ones for hardware that they do not have.

    :param has_gpu: return whether there is an NVIDIA GPU.
    :param driver_and_gpus: return the version of the driver and all GPUs of the host.
    :param probe_torch: return what a Python has installed.
    :param available_bytes: return the bytes of memory that processes can still take.
    """

    has_gpu: Callable[[], bool] = has_gpu
    driver_and_gpus: Callable[[], tuple[str, list[Gpu]]] = driver_and_gpus
    probe_torch: Callable[[Path], TorchInstallation] = probe_torch
    available_bytes: Callable[[], int] = _available_bytes


THIS_HOST = Host()

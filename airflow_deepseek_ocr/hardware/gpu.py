"""NVIDIA GPUs as the driver tells of them, without torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    ErrorCode,
    MissingExtraError,
    UnavailableError,
)


@dataclass(frozen=True)
class Gpu:
    """A GPU.

    :param index: the driver's number.
    :param name: such as ``NVIDIA H100 80GB HBM3``.
    :param capability: compute capability, such as (9, 0).
    :param total_bytes: memory; None where it is the host's own.
    :param free_bytes: memory that nobody has taken; None likewise.
    """

    index: int
    name: str
    capability: tuple[int, int]
    total_bytes: int | None
    free_bytes: int | None


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU, by its device file (of the Windows host under WSL)."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


def host_device(name: str) -> str:
    """The device of the host that a setting means here: the same name for the same device.

    A GPU is named by its number or id among all of the host, as ``CUDA_VISIBLE_DEVICES`` names those
    that this process may use. ``auto`` is the first one, or the CPU where there is none.

    :param name: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; another one stays as it is.
    :raises ConfigurationError: ``device`` if the variable names no such GPU.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    ids = None if visible is None else _ids(visible)
    kind, _, number = name.partition(":")
    if name == "auto":
        usable = has_gpu() and ids != []
        kind, number = ("cuda", "0") if usable else ("cpu", "")
    if kind != "cuda" or not (number or "0").isdigit():
        return kind if name == "auto" else name
    index = int(number or 0)
    if ids is None:
        return f"cuda:{index}"
    if index >= len(ids):
        raise ConfigurationError(
            ErrorCode.DEVICE,
            f"Device {name!r} is none of this process's GPUs: CUDA_VISIBLE_DEVICES is {visible!r}, which "
            f"names {len(ids)}, counted from cuda:0. Set the connection's device to one of them or to "
            "auto, or change the variable.",
        )
    return f"cuda:{ids[index]}"


def _ids(visible: str) -> list[str]:
    # CUDA takes none from the first on that can be no GPU.
    return list(takewhile(lambda each: each not in ("", "-1"), map(str.strip, visible.split(","))))


def driver_and_gpus() -> tuple[str, list[Gpu]]:
    """The driver's version and its GPUs, asked through NVML.

    :raises MissingExtraError: ``nvidia-ml-py`` is not installed.
    :raises UnavailableError: ``no_driver`` if there is no driver that answers.
    """
    with _nvml() as nvml:
        try:
            handles = [
                nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())
            ]
            gpus = [_gpu(nvml, index, handle) for index, handle in enumerate(handles)]
            return str(nvml.nvmlSystemGetDriverVersion()), gpus
        except nvml.NVMLError as error:
            raise UnavailableError(
                ErrorCode.NO_DRIVER, f"The NVIDIA driver answers: {error}"
            ) from error


def _gpu(nvml: Any, index: int, handle: Any) -> Gpu:
    total: int | None
    free: int | None
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        total, free = int(memory.total), int(memory.free)
    except nvml.NVMLError:
        # GPUs that share the host's memory, as on NVIDIA Spark, have none of their own to tell of.
        total = free = None
    capability = tuple(map(int, nvml.nvmlDeviceGetCudaComputeCapability(handle)))
    return Gpu(index, str(nvml.nvmlDeviceGetName(handle)), capability, total, free)  # type: ignore[arg-type]


@contextmanager
def _nvml() -> Iterator[Any]:
    try:
        import pynvml
    except ImportError as error:
        raise MissingExtraError("nvidia-ml-py", "transformers") from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise UnavailableError(
            ErrorCode.NO_DRIVER, f"There is no NVIDIA driver that answers ({error})."
        ) from error
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()

"""NVIDIA GPUs as the driver tells of them, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.errors import MissingExtraError, UnavailableError


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
            raise UnavailableError("no_driver", f"The NVIDIA driver answers: {error}") from error


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
            "no_driver", f"There is no NVIDIA driver that answers ({error})."
        ) from error
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()

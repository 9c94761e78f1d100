"""NVIDIA GPUs of this host, read from the driver; torch is not needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    ErrorCode,
    MissingExtraError,
    UnavailableError,
)

#: The variable that limits the GPUs of a process, and renumbers them.
VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"
#: Directory of the device files that the driver makes.
DEVICE_FILES = Path("/dev")
#: How GPUs and slices of them (MIG instances) are named when they are not numbered.
_UUID_PREFIXES = ("GPU-", "MIG-")


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a MIG instance of one.

    :param index: the driver's number; a MIG instance has the number of its GPU.
    :param name: such as ``NVIDIA H100 80GB HBM3``.
    :param capability: compute capability, such as (9, 0).
    :param total_bytes: its memory; None if it shares the memory of the host.
    :param free_bytes: memory that no process has allocated; None likewise.
    :param uuid: such as ``GPU-8932f937-d72c-4106-c12f-20bd9faed9f6``; empty if it is unknown.
    :param instances: the MIG instances it is divided into.
    """

    index: int
    name: str
    capability: tuple[int, int]
    total_bytes: int | None
    free_bytes: int | None
    uuid: str = ""
    instances: tuple[Gpu, ...] = ()


def has_gpu(device_files: Path = DEVICE_FILES) -> bool:
    """Whether there is an NVIDIA GPU, by its device file (of the Windows host under WSL)."""
    return any(device_files.glob("nvidia[0-9]*")) or (device_files / "dxg").exists()


def visible_devices(variable: str | None) -> tuple[str, ...] | None:
    """Parse ``CUDA_VISIBLE_DEVICES`` as CUDA does.

    CUDA stops at the first entry that cannot be a GPU: an empty one, a negative number, or a number among
    UUIDs. An entry that occurs twice hides all GPUs (CUDA programming guide, "CUDA Environment
    Variables"; ``torch.cuda._parse_visible_devices`` does the same).

    :param variable: the value of the variable; None if it is not set.
    :return: numbers or UUIDs in the order in which CUDA numbers them, or None if all GPUs are visible.
    """
    if variable is None:
        return None
    entries = [each.strip() for each in variable.split(",")]
    prefix = next((each for each in _UUID_PREFIXES if entries[0].startswith(each)), None)
    found: list[str] = []
    for entry in entries:
        if prefix is None:
            if not (entry.isascii() and entry.isdigit()):
                break
            entry = str(int(entry))
        elif not entry.startswith(prefix):
            break
        if entry in found:
            return ()
        found.append(entry)
    return tuple(found)


def visible_gpus(gpus: Sequence[Gpu], variable: str | None) -> list[Gpu]:
    """Return the GPUs that a process sees, in the order in which CUDA numbers them.

    A UUID may be shortened, as long as it names one GPU. The list ends at the first entry that names none.

    :param gpus: all GPUs of the host; see :func:`driver_and_gpus`.
    :param variable: the value of ``CUDA_VISIBLE_DEVICES``; None if it is not set.
    """
    ids = visible_devices(variable)
    if ids is None:
        return list(gpus)
    found: list[Gpu] = []
    for each in ids:
        matches = _named(gpus, each)
        if len(matches) != 1:
            break
        found += matches
    return found


def _named(gpus: Sequence[Gpu], name: str) -> list[Gpu]:
    if name.isdigit():
        return [gpu for gpu in gpus if gpu.index == int(name)]
    instances = [instance for gpu in gpus for instance in gpu.instances]
    return [gpu for gpu in (*gpus, *instances) if gpu.uuid.startswith(name)]


def host_device(name: str, device_files: Path = DEVICE_FILES) -> str:
    """Return the device of the host that a setting means: one name for each device.

    A GPU is named by its number or UUID on the host, as ``CUDA_VISIBLE_DEVICES`` names it. ``auto`` is the
    first visible GPU, or the CPU if none is visible.

    :param name: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; any other name is returned unchanged.
    :param device_files: directory of the host's device files.
    :raises ConfigurationError: ``device`` if the variable hides that GPU.
    """
    variable = os.environ.get(VISIBLE_VARIABLE)
    ids = visible_devices(variable)
    kind, _, number = name.partition(":")
    if name == "auto":
        if not has_gpu(device_files) or ids == ():
            return "cpu"
        kind = "cuda"
    if kind != "cuda" or not (number or "0").isdigit():
        return name
    index = int(number or 0)
    if ids is None:
        return f"cuda:{index}"
    if index >= len(ids):
        raise ConfigurationError(
            ErrorCode.DEVICE,
            f"Device {name!r} is none of this process's GPUs: {VISIBLE_VARIABLE} is {variable!r}, which "
            f"names {len(ids)}, counted from cuda:0. Set the connection's device to one of them or to "
            "auto, or change the variable.",
        )
    return f"cuda:{ids[index]}"


def device_memory(device: str) -> tuple[int, int] | None:
    """Return total and free memory of a GPU in bytes, for all processes, read through NVML.

    :param device: ``cpu``, ``cuda`` or ``cuda:N`` of this process.
    :return: None for a CPU, a GPU that shares the host's memory, and without an answer of the driver.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return None
    try:
        gpus = visible_gpus(driver_and_gpus()[1], os.environ.get(VISIBLE_VARIABLE))
    except (MissingExtraError, UnavailableError):
        return None
    index = int(number or 0)
    if index >= len(gpus) or gpus[index].total_bytes is None or gpus[index].free_bytes is None:
        return None
    return gpus[index].total_bytes, gpus[index].free_bytes  # type: ignore[return-value]


def driver_and_gpus() -> tuple[str, list[Gpu]]:
    """Return the version of the driver and all GPUs of the host, read through NVML.

    :raises MissingExtraError: ``missing_extra`` if ``nvidia-ml-py`` is not installed.
    :raises UnavailableError: ``no_driver`` if the driver is missing or reports an error.
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
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    gpu = Gpu(
        index,
        str(nvml.nvmlDeviceGetName(handle)),
        (int(major), int(minor)),
        *_memory(nvml, handle),
        uuid=str(nvml.nvmlDeviceGetUUID(handle)),
    )
    return replace(gpu, instances=tuple(_instances(nvml, handle, gpu)))


def _instances(nvml: Any, handle: Any, gpu: Gpu) -> Iterator[Gpu]:
    # GPUs without MIG raise NVMLError_NotSupported; unused places raise NVMLError_NotFound.
    with suppress(nvml.NVMLError):
        for place in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            with suppress(nvml.NVMLError):
                instance = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
                total, free = _memory(nvml, instance)
                yield Gpu(
                    gpu.index,
                    str(nvml.nvmlDeviceGetName(instance)),
                    gpu.capability,
                    total,
                    free,
                    uuid=str(nvml.nvmlDeviceGetUUID(instance)),
                )


def _memory(nvml: Any, handle: Any) -> tuple[int | None, int | None]:
    """Return the total and the free memory in bytes; None for GPUs that share the host's memory."""
    # NVIDIA GB10 (DGX Spark) raises NVMLError_NotSupported; some drivers report 0 bytes instead.
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError:
        return None, None
    return (int(memory.total), int(memory.free)) if memory.total else (None, None)


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
            ErrorCode.NO_DRIVER, f"The NVIDIA driver is missing or does not answer ({error})."
        ) from error
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()

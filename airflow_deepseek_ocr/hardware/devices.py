"""The devices that a connection's setting means: one, several GPUs, or all of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    ErrorCode,
    MissingExtraError,
    UnavailableError,
)
from airflow_deepseek_ocr.hardware.gpu import (
    DEVICE_FILES,
    VISIBLE_VARIABLE,
    driver_and_gpus,
    visible_devices,
    visible_gpus,
)

#: The setting for all GPUs that this process sees.
ALL = "all"
#: What a connection may have: one device, ``all``, or GPUs separated by commas.
PATTERN = r"auto|cpu|cuda(:[0-9]+)?|all|cuda:[0-9]+(\s*,\s*cuda:[0-9]+)+"


def names_several(device: str) -> bool:
    """Return whether a setting may mean more than one device.

    :param device: a value of :data:`PATTERN`.
    """
    return device == ALL or "," in device


def visible_gpu_count(device_files: Path = DEVICE_FILES) -> int:
    """Return the number of GPUs that this process sees, from the driver, or from device files without it.

    :param device_files: directory of the host's device files.
    """
    variable = os.environ.get(VISIBLE_VARIABLE)
    try:
        return len(visible_gpus(driver_and_gpus()[1], variable))
    except (MissingExtraError, UnavailableError):
        files = len(list(device_files.glob("nvidia[0-9]*")))
        ids = visible_devices(variable)
        return files if ids is None else min(files, len(ids))


def split_devices(
    device: str, *, gpu_count: Callable[[], int] = visible_gpu_count
) -> tuple[str, ...]:
    """Return the devices that a setting means, each once.

    :param device: a value of :data:`PATTERN`.
    :param gpu_count: returns the number of GPUs that this process sees.
    :raises ConfigurationError: ``device`` if ``all`` means none.
    """
    if device != ALL:
        return tuple(dict.fromkeys(each.strip() for each in device.split(",")))
    devices = tuple(f"cuda:{number}" for number in range(gpu_count()))
    if not devices:
        raise ConfigurationError(
            ErrorCode.DEVICE,
            "The connection's device is all, and this process sees no GPU. Set it to auto or cpu, or make "
            f"the GPUs visible (driver, container's devices, the variable {VISIBLE_VARIABLE}).",
        )
    return devices


def require_one_device(device: str) -> None:
    """Raise if a setting means several devices and one process runs the model.

    :param device: a value of :data:`PATTERN`.
    :raises ConfigurationError: ``device``.
    """
    if names_several(device):
        raise ConfigurationError(
            ErrorCode.DEVICE,
            f"Device {device!r} needs a server for each GPU, which the engines resident and vllm start. One "
            "process uses one device: choose such an engine, or one of cuda:0, cuda:1, and so on.",
        )

"""The devices that a setting means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.hardware.devices import (
    PATTERN,
    require_one_device,
    split_devices,
    visible_gpu_count,
)


@pytest.mark.parametrize(
    ("device", "devices"),
    [
        ("auto", ("auto",)),
        ("cpu", ("cpu",)),
        ("cuda", ("cuda",)),
        ("cuda:3", ("cuda:3",)),
        ("all", ("cuda:0", "cuda:1", "cuda:2", "cuda:3")),
        ("cuda:0,cuda:2", ("cuda:0", "cuda:2")),
        ("cuda:1 , cuda:0", ("cuda:1", "cuda:0")),
        ("cuda:1,cuda:1", ("cuda:1",)),
    ],
)
def test_a_setting_means_these_devices(device: str, devices: tuple[str, ...]) -> None:
    assert re.fullmatch(PATTERN, device)
    assert split_devices(device, gpu_count=lambda: 4) == devices


@pytest.mark.parametrize(
    "device",
    ["", "gpu", "cuda:", "cuda:0,", "cuda:0,cpu", "cuda,cuda:1", "all,cuda:0", "ALL", "0,1"],
)
def test_no_setting(device: str) -> None:
    assert not re.fullmatch(PATTERN, device)


def test_all_of_no_gpu_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="sees no GPU") as raised:
        split_devices("all", gpu_count=lambda: 0)
    assert raised.value.code == ErrorCode.DEVICE


@pytest.mark.parametrize("device", ["all", "cuda:0,cuda:1"])
def test_one_process_has_one_device(device: str) -> None:
    with pytest.raises(ConfigurationError, match="resident"):
        require_one_device(device)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1"])
def test_one_device_is_accepted(device: str) -> None:
    require_one_device(device)


@pytest.mark.parametrize(
    ("variable", "count"), [(None, 3), ("", 0), ("1", 1), ("0,2", 2), ("0,1,2,3,4,5", 3), ("-1", 0)]
)
def test_without_the_driver_device_files_are_counted(
    variable: str | None, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    if variable is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert visible_gpu_count(tmp_path) == count

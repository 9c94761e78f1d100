"""GPUs: the parsing of CUDA_VISIBLE_DEVICES, and the names of devices."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    ErrorCode,
    MissingExtraError,
    UnavailableError,
)
from airflow_deepseek_ocr.hardware.gpu import (
    VISIBLE_VARIABLE,
    Gpu,
    device_memory,
    driver_and_gpus,
    has_gpu,
    host_device,
    visible_devices,
    visible_gpus,
)

INSTANCE = Gpu(1, "NVIDIA H100 MIG 1g.10gb", (9, 0), 10, 9, uuid="MIG-5e7c1a")
GPUS = [
    Gpu(0, "first", (9, 0), 80, 70, uuid="GPU-11aa22"),
    Gpu(1, "second", (9, 0), 80, 70, uuid="GPU-11bb33", instances=(INSTANCE,)),
    Gpu(2, "third", (8, 0), 40, 30, uuid="GPU-44cc55"),
]


@pytest.mark.parametrize(
    ("variable", "devices"),
    [
        (None, None),
        ("", ()),
        ("-1", ()),
        ("0", ("0",)),
        (" 2 , 0 ", ("2", "0")),
        ("02", ("2",)),
        ("1,-1,2", ("1",)),
        ("1,,2", ("1",)),
        ("1,GPU-11aa22", ("1",)),
        ("none", ()),
        ("NoDevFiles", ()),
        ("1,1", ()),
        ("GPU-11aa22,GPU-44", ("GPU-11aa22", "GPU-44")),
        ("GPU-11aa22,0", ("GPU-11aa22",)),
        ("GPU-11aa22,MIG-5e7c1a", ("GPU-11aa22",)),
        ("GPU-11aa22,GPU-11aa22", ()),
        ("MIG-5e7c1a", ("MIG-5e7c1a",)),
        ("MIG-GPU-11bb33/1/0", ("MIG-GPU-11bb33/1/0",)),
    ],
)
def test_the_variable_is_parsed_as_cuda_does(
    variable: str | None, devices: tuple[str, ...] | None
) -> None:
    assert visible_devices(variable) == devices


@pytest.mark.parametrize(
    ("variable", "names"),
    [
        (None, ["first", "second", "third"]),
        ("", []),
        ("-1", []),
        ("2,0", ["third", "first"]),
        ("2,7,0", ["third"]),
        ("7", []),
        ("GPU-44", ["third"]),
        ("GPU-44,GPU-ff,GPU-11aa", ["third"]),
        ("GPU-11", []),
        ("MIG-5e7c1a", [INSTANCE.name]),
        ("MIG-ffffff", []),
    ],
    ids=str,
)
def test_visible_gpus_end_at_the_first_entry_that_names_none(
    variable: str | None, names: list[str]
) -> None:
    assert [gpu.name for gpu in visible_gpus(GPUS, variable)] == names


@pytest.mark.parametrize(
    ("variable", "name", "device"),
    [
        (None, "cpu", "cpu"),
        (None, "cuda", "cuda:0"),
        (None, "cuda:3", "cuda:3"),
        ("5,4", "cuda", "cuda:5"),
        ("5,4", "cuda:1", "cuda:4"),
        ("GPU-11aa22", "cuda:0", "cuda:GPU-11aa22"),
        ("5", "mps", "mps"),
        ("5", "cuda:x", "cuda:x"),
    ],
)
def test_a_device_has_one_name_on_the_host(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, name: str, device: str
) -> None:
    _set(monkeypatch, variable)
    assert host_device(name) == device


@pytest.mark.parametrize(
    ("device_file", "variable", "device"),
    [
        ("nvidia0", None, "cuda:0"),
        ("nvidia7", "3", "cuda:3"),
        ("dxg", None, "cuda:0"),
        ("nvidia0", "", "cpu"),
        ("nvidia0", "-1", "cpu"),
        ("nvidiactl", None, "cpu"),
        ("null", "3", "cpu"),
    ],
)
def test_auto_is_the_first_visible_gpu_or_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    device_file: str,
    variable: str | None,
    device: str,
) -> None:
    (tmp_path / device_file).touch()
    _set(monkeypatch, variable)
    assert host_device("auto", tmp_path) == device
    assert has_gpu(tmp_path) == (device_file in ("nvidia0", "nvidia7", "dxg"))


@pytest.mark.parametrize(
    ("variable", "name"), [("", "cuda"), ("4,5", "cuda:2"), ("4,-1,5", "cuda:1")]
)
def test_a_hidden_gpu_is_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, variable: str, name: str
) -> None:
    _set(monkeypatch, variable)
    with pytest.raises(ConfigurationError, match=f"CUDA_VISIBLE_DEVICES is '{variable}'") as caught:
        host_device(name)
    assert caught.value.code is ErrorCode.DEVICE


class NvmlError(Exception):
    pass


def _unsupported(*_: object) -> Any:
    raise NvmlError("Not Supported")


def nvml(monkeypatch: pytest.MonkeyPatch, **functions: Any) -> None:
    """Stand in for the driver, which only hosts with a GPU have."""
    memory = {
        "GPU-a": SimpleNamespace(total=80, free=70),
        "MIG-b": SimpleNamespace(total=10, free=9),
    }
    stand_in = ModuleType("pynvml")
    defaults: dict[str, Any] = {
        "NVMLError": NvmlError,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda _: "GPU-a",
        "nvmlSystemGetDriverVersion": lambda: "570.1",
        "nvmlDeviceGetCudaComputeCapability": lambda _: (9, 0),
        "nvmlDeviceGetName": lambda handle: f"name of {handle}",
        "nvmlDeviceGetUUID": lambda handle: handle,
        "nvmlDeviceGetMemoryInfo": memory.__getitem__,
        "nvmlDeviceGetMaxMigDeviceCount": _unsupported,
    }
    vars(stand_in).update(defaults | functions)
    monkeypatch.setitem(sys.modules, "pynvml", stand_in)


def test_gpus_are_read_from_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml(monkeypatch)
    assert driver_and_gpus() == ("570.1", [Gpu(0, "name of GPU-a", (9, 0), 80, 70, uuid="GPU-a")])


def test_a_gpu_may_share_the_memory_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (_unsupported, lambda _: SimpleNamespace(total=0, free=0)):
        nvml(monkeypatch, nvmlDeviceGetMemoryInfo=answer)
        _, (gpu,) = driver_and_gpus()
        assert (gpu.total_bytes, gpu.free_bytes) == (None, None)


def test_mig_instances_have_memory_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def instance(_: object, place: int) -> str:
        if place != 1:
            raise NvmlError("Not Found")
        return "MIG-b"

    nvml(
        monkeypatch,
        nvmlDeviceGetMaxMigDeviceCount=lambda _: 3,
        nvmlDeviceGetMigDeviceHandleByIndex=instance,
    )
    _, (gpu,) = driver_and_gpus()
    assert gpu.instances == (Gpu(0, "name of MIG-b", (9, 0), 10, 9, uuid="MIG-b"),)
    assert visible_gpus([gpu], "MIG-b") == [gpu.instances[0]]


def test_a_driver_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for function in ("nvmlInit", "nvmlDeviceGetCount"):
        nvml(monkeypatch, **{function: _unsupported})
        with pytest.raises(UnavailableError, match="Not Supported") as caught:
            driver_and_gpus()
        assert caught.value.code is ErrorCode.NO_DRIVER


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(MissingExtraError, match="nvidia-ml-py"):
        driver_and_gpus()


def _set(monkeypatch: pytest.MonkeyPatch, variable: str | None) -> None:
    if variable is None:
        monkeypatch.delenv(VISIBLE_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VISIBLE_VARIABLE, variable)


def test_memory_of_the_gpu_that_a_process_names(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Gpu(3, "shares the host's", (12, 1), None, None)
    monkeypatch.setattr(
        "airflow_deepseek_ocr.hardware.gpu.driver_and_gpus", lambda: ("", [*GPUS, shared])
    )
    monkeypatch.setenv(VISIBLE_VARIABLE, "2,3")
    assert device_memory("cuda") == device_memory("cuda:0") == (40, 30)
    for unknown in ("cpu", "cuda:1", "cuda:2"):
        assert device_memory(unknown) is None


def test_without_a_driver_the_memory_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert device_memory("cuda:0") is None

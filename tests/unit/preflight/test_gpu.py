"""Checks of the GPU that the connection selects."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ErrorCode, MissingExtraError, UnavailableError
from airflow_deepseek_ocr.hardware.gpu import Gpu
from airflow_deepseek_ocr.preflight.check import Level
from airflow_deepseek_ocr.preflight.gpu import check_gpu, check_vllm_gpu
from tests.unit.preflight.conftest import GB10, H100, host, settings

SMALL = Gpu(0, "small", (9, 0), 1, 1000)
LARGE = Gpu(1, "large", (8, 9), 1, 10**12)


def test_name_capability_driver_and_memory_are_reported() -> None:
    gpu, memory = check_gpu(settings(), host([H100]))
    assert gpu.message == "NVIDIA H100, compute capability 9.0, driver 580.1."
    assert memory.level is Level.OK
    assert "70.0 GB of GPU memory are free" in memory.message


@pytest.mark.parametrize(
    ("device", "variable", "name"),
    [
        ("auto", None, "small"),
        ("cuda", None, "small"),
        ("cuda:1", None, "large"),
        ("auto", "1", "large"),
        ("cuda:1", "1,0", "small"),
    ],
)
def test_the_gpu_is_the_one_that_cuda_selects(
    device: str, variable: str | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    gpu, *_ = check_gpu(settings(device=device), host([SMALL, LARGE]))
    assert gpu.message.startswith(name)


@pytest.mark.parametrize(("device", "variable"), [("cuda:2", "0,1"), ("cuda:1", "1"), ("auto", "")])
def test_a_gpu_that_is_not_visible_fails(
    device: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    (check,) = check_gpu(settings(device=device), host([SMALL, LARGE]))
    assert check.level is Level.FAILURE
    assert f"{device!r} is none of them" in check.message
    assert "CUDA_VISIBLE_DEVICES" in check.message


def test_all_gpus_are_checked() -> None:
    checks = list(check_gpu(settings(device="all"), host([SMALL, LARGE])))
    assert [check.message.split(",")[0] for check in checks[::2]] == ["small", "large"]
    assert [check.level for check in checks] == [Level.OK, Level.FAILURE, Level.OK, Level.OK]


def test_all_of_no_gpu_fails() -> None:
    (check,) = check_gpu(settings(device="all"), host([]))
    assert check.level is Level.FAILURE
    assert "sees no GPU" in check.message


def test_one_of_two_gpus_says_how_to_use_both() -> None:
    *_, last = check_gpu(settings(), host([LARGE, LARGE]))
    assert last.level is Level.OK
    assert "uses 1 of 2 visible GPUs. Set it to all" in last.message


def test_too_little_memory_fails() -> None:
    _, memory = check_gpu(settings(), host([SMALL]))
    assert memory.level is Level.FAILURE
    assert "End other processes" in memory.message


@pytest.mark.parametrize(
    ("available", "level"), [(118_500_000_000, Level.OK), (1_000, Level.FAILURE)]
)
def test_a_gpu_with_the_hosts_memory_is_compared_with_it(available: int, level: Level) -> None:
    gpu, memory = check_gpu(settings(), host([GB10], available_bytes=available))
    assert gpu.level is Level.OK
    assert memory.level is level
    assert f"{available / 1e9:.1f} GB of memory that CPU and GPU share (unified" in memory.message


@pytest.mark.parametrize(("gpu", "warned"), [(GB10, True), (H100, False)])
def test_vllm_on_a_gpu_that_it_was_not_built_for(gpu: Gpu, warned: bool) -> None:
    checks = list(check_vllm_gpu(settings(engine="vllm"), host([gpu])))
    assert [check.level for check in checks] == [Level.WARNING] * warned
    for check in checks:
        assert "engine to resident" in check.message
        assert "--gpu-memory-utilization" in check.message


def test_vllm_on_an_unknown_or_hidden_gpu_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    no_driver = host(UnavailableError(ErrorCode.NO_DRIVER, "No driver."))
    assert list(check_vllm_gpu(settings(), no_driver)) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert list(check_vllm_gpu(settings(), host([GB10]))) == []


def test_no_driver_fails_and_no_nvml_is_a_warning() -> None:
    (check,) = check_gpu(settings(), host(UnavailableError(ErrorCode.NO_DRIVER, "No driver.")))
    assert check.level is Level.FAILURE
    assert "device to cpu" in check.message
    (check,) = check_gpu(settings(), host(MissingExtraError("nvidia-ml-py", "transformers")))
    assert check.level is Level.WARNING

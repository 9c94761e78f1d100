"""Checks of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.exceptions import ErrorCode, MissingExtraError, UnavailableError
from airflow_deepseek_ocr.preflight.check import Level
from airflow_deepseek_ocr.preflight.host import Host
from airflow_deepseek_ocr.preflight.torch_checks import check_kernels, check_torch
from airflow_deepseek_ocr.preflight.torch_probe import TorchInstallation
from tests.unit.preflight.conftest import (
    GB10,
    GB10_TORCH,
    H100,
    failures,
    host,
    levels,
    settings,
)


@pytest.mark.parametrize(
    ("capability", "kernels", "level"),
    [
        ((9, 0), ["sm_80", "sm_90"], Level.OK),
        ((12, 0), ["sm_90", "sm_120"], Level.OK),
        ((12, 1), ["sm_90", "sm_120"], Level.WARNING),  # NVIDIA Spark
        ((8, 9), ["sm_80", "sm_90"], Level.WARNING),
        ((12, 1), ["sm_80", "compute_90"], Level.WARNING),
        ((12, 1), ["sm_80", "sm_90a"], Level.FAILURE),
        ((7, 0), ["sm_75", "sm_80", "compute_80"], Level.FAILURE),
        ((8, 0), ["sm_86"], Level.FAILURE),
        ((8, 0), [], Level.FAILURE),
    ],
)
def test_kernels_for_a_gpu(capability: tuple[int, int], kernels: list[str], level: Level) -> None:
    check = check_kernels(capability, kernels)
    assert check.level is level
    assert ".".join(map(str, capability)) in check.message


@pytest.mark.parametrize(
    ("torch", "name", "message"),
    [
        ({"capabilities": ()}, "kernels", "with CUDA 13.0 sees no GPU"),
        ({"capabilities": (), "cuda": None}, "kernels", "--torch-backend auto"),
        (
            {"capabilities": (), "cuda": None, "machine": "aarch64", "torch": "2.9.1"},
            "kernels",
            "pip install --upgrade 'torch>=2.11'",
        ),
        ({"kernels": ("sm_120",)}, "kernels", "no kernels for compute capability 9.0"),
        ({"bfloat16": False}, "bfloat16", "float16"),
    ],
)
def test_a_torch_that_does_not_fit_the_gpu(
    torch: dict[str, object], name: str, message: str
) -> None:
    failed = failures(check_torch(settings(), host([H100], **torch)))
    assert failed.keys() == {name}
    assert message in failed[name]


@pytest.mark.parametrize(
    ("driver", "cuda", "needed"),
    [
        ("570.133.07", "13.0", "580"),
        ("520.61", "12.8", "525"),
        ("580.82.09", "13.0", None),
        ("570.1", "12.8", None),
        ("580.1", "99.0", None),
        ("unknown", "13.0", None),
    ],
)
def test_a_driver_that_is_too_old_for_torchs_cuda(
    driver: str, cuda: str, needed: str | None
) -> None:
    no_gpu = host([H100], driver=driver, cuda=cuda, capabilities=())
    message = failures(check_torch(settings(), no_gpu))["kernels"]
    assert ("too old" in message) is (needed is not None)
    assert f"needs {needed} or later" in message or needed is None


def test_an_unknown_driver_is_left_to_the_check_of_the_gpu() -> None:
    no_driver = host(UnavailableError(ErrorCode.NO_DRIVER, "No driver."), capabilities=())
    assert "sees no GPU" in failures(check_torch(settings(), no_driver))["kernels"]


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ({"triton": None}, "triton is missing"),
        ({"triton": "3.5.0"}, "TRITON_PTXAS_PATH"),
        ({"triton": "3.5.1+git"}, "torch>=2.11"),
        ({"c_compiler": False}, "apt-get install gcc"),
        ({"python_headers": False}, "apt-get install python3-dev"),
        ({}, None),
        ({"triton": "3.10.0"}, None),
    ],
)
def test_what_compiling_for_a_gb10_needs(missing: dict[str, Any], remedy: str | None) -> None:
    checks = {
        check.name: check for check in check_torch(settings(), host([GB10], **GB10_TORCH | missing))
    }
    assert ("compiler" in checks) is (remedy is not None)
    if remedy:
        assert checks["compiler"].level is Level.WARNING
        assert remedy in checks["compiler"].message


def test_an_older_triton_compiles_for_an_older_gpu() -> None:
    assert "compiler" not in levels(check_torch(settings(), host([H100], triton="3.5.0")))


def test_kernels_for_12_0_run_on_a_gb10() -> None:
    check = check_kernels((12, 1), GB10_TORCH["kernels"])
    assert check.level is Level.WARNING
    assert "kernels for 12.0 run on this GPU" in check.message


def test_bfloat16_is_needed_only_if_it_is_used() -> None:
    assert failures(check_torch(settings(dtype="float16"), host([H100], bfloat16=False))) == {}


def test_a_connection_for_the_cpu_needs_no_kernels() -> None:
    assert levels(check_torch(settings(device="cpu"), host([], capabilities=()))) == {
        "torch": Level.OK
    }


def test_another_version_of_the_package_is_named_with_the_remedy() -> None:
    checks = {
        check.name: check
        for check in check_torch(
            settings(server_python="/p", device="cpu"), host([], package="0.0.1")
        )
    }
    assert checks["version"].level is Level.WARNING
    assert "/p has airflow-deepseek-ocr 0.0.1" in checks["version"].message
    assert f"=={__version__}'" in checks["version"].message


def test_a_python_that_cannot_be_asked(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ModuleNotFoundError: No module named torch' >&2\nexit 1\n")
    python.chmod(0o755)
    (check,) = check_torch(settings(device="cpu", server_python=str(python)))
    assert check.level is Level.FAILURE
    assert "No module named torch" in check.message
    assert "airflow-deepseek-ocr[transformers]" in check.message


def test_a_missing_extra_is_a_failure() -> None:
    def missing(_: Path) -> TorchInstallation:
        raise MissingExtraError("torch", "transformers")

    (check,) = check_torch(settings(), Host(probe_torch=missing))
    assert check.level is Level.FAILURE
    assert "[transformers]" in check.message

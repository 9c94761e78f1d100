"""Checks of torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.exceptions import MissingExtraError
from airflow_deepseek_ocr.preflight.check import Level
from airflow_deepseek_ocr.preflight.host import Host
from airflow_deepseek_ocr.preflight.torch_checks import check_kernels, check_torch
from airflow_deepseek_ocr.preflight.torch_probe import TorchInstallation
from tests.unit.preflight.conftest import H100, failures, host, levels, settings


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
        ({"capabilities": ()}, "kernels", "torch sees no GPU"),
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

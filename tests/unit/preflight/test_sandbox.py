"""The check of the rendering process starts one, and lets it try forbidden actions."""

from __future__ import annotations

import sys

import pytest

from airflow_deepseek_ocr.ocr.rendering.sandbox.landlock import landlock_abi
from airflow_deepseek_ocr.preflight.check import Level
from airflow_deepseek_ocr.preflight.sandbox import check_sandbox
from tests.unit.preflight.conftest import settings

OLDER = "tests.support.fakes.older_kernel_child"


@pytest.mark.skipif(landlock_abi() < 1, reason="this kernel has no Landlock")
@pytest.mark.parametrize("mode", ["auto", "required"])
def test_a_current_host_names_its_restrictions_and_refused_actions(mode: str) -> None:
    check = check_sandbox(settings(sandbox=mode))
    assert (check.name, check.level) == ("sandbox", Level.OK)
    assert f"Landlock (ABI {landlock_abi()})" in check.message
    assert "refused: reading the task's environment" in check.message


def test_an_older_kernel_is_a_warning_that_names_the_allowed_actions() -> None:
    check = check_sandbox(settings(), OLDER)
    assert check.level is Level.WARNING
    assert "use Linux 5.13" in check.message
    assert "allowed in the rendering process: " in check.message
    assert "UDP" in check.message


def test_an_older_kernel_fails_if_the_sandbox_is_required() -> None:
    check = check_sandbox(settings(sandbox="required"), OLDER)
    assert check.level is Level.FAILURE
    assert "set sandbox to auto" in check.message


def test_no_sandbox_is_a_warning() -> None:
    check = check_sandbox(settings(sandbox="off"))
    assert check.level is Level.WARNING
    assert check.message.startswith("The sandbox is off; allowed in the rendering process: reading")


def test_a_process_that_does_not_start_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    check = check_sandbox(settings())
    assert check.level is Level.FAILURE
    assert "does not start" in check.message

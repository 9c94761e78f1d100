"""The words for the state of a sandbox."""

from __future__ import annotations

from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox, SandboxReport


def test_the_setting_has_three_values() -> None:
    assert list(Sandbox) == ["auto", "required", "off"]


def test_a_report_names_all_that_is_missing() -> None:
    assert str(SandboxReport(5)).startswith("Landlock (ABI 5), seccomp filter")
    assert str(SandboxReport(0, ("one: x", "two: y"))) == "missing: one: x; two: y"

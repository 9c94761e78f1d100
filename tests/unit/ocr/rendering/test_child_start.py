"""The start of a child, and the check of its report."""

from __future__ import annotations

import json
import logging
import os
import socket
from dataclasses import asdict

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.rendering.child_start import check_sandbox, start_child
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox, SandboxReport

WHOLE = SandboxReport(7)


def partial(reason: str) -> SandboxReport:
    return SandboxReport(0, (reason,))


def test_a_program_gets_its_arguments_and_its_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    ours, theirs = socket.socketpair()
    limits = Limits(max_pages=3)
    with ours, theirs:
        process, output = start_child(
            theirs.fileno(),
            limits,
            Sandbox.REQUIRED,
            "tests.support.fakes.arguments_on_stderr",
        )
        process.wait(60)
    with os.fdopen(output) as stream:
        said = json.loads(stream.read())
    assert said["arguments"][1] == "required"
    assert json.loads(said["arguments"][2]) == asdict(limits)
    assert [int(said["arguments"][0])] == said["descriptors"]
    assert "DB_PASSWORD" not in said["environment"]


def test_a_complete_sandbox_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        check_sandbox(Sandbox.REQUIRED, WHOLE)
    (record,) = caplog.records
    assert (record.levelno, "Landlock (ABI 7)" in record.getMessage()) == (logging.INFO, True)


def test_a_missing_restriction_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        check_sandbox(Sandbox.AUTO, partial("Landlock: a test of warnings"))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "Landlock: a test of warnings" in record.getMessage()


def test_a_missing_restriction_that_is_required_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no seccomp here") as caught:
        check_sandbox(Sandbox.REQUIRED, partial("no seccomp here"))
    assert caught.value.code is ErrorCode.SANDBOX_UNAVAILABLE


def test_no_sandbox_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    from airflow_deepseek_ocr.ocr.rendering import child_start

    child_start._warn_once.cache_clear()
    check_sandbox(Sandbox.OFF, SandboxReport(0))
    assert "is off" in caplog.text

"""The probes succeed in a process without restrictions, and leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_deepseek_ocr.ocr.rendering.sandbox.probes import run_probes


def test_they_succeed_here_and_leave_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from airflow_deepseek_ocr.ocr.rendering.sandbox.probes import run_probes; print(run_probes())",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
    )
    allowed = done.stdout.split("]")[0]
    for name in ("the task's environment", "other files", "writing", "TCP", "UDP", "processes"):
        assert name in allowed
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing directory refuses to be written."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    _, refused = run_probes()
    assert "writing files" in refused

"""The identity of a process namespace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.supervisor import process_namespace as module
from airflow_deepseek_ocr.engines.supervisor.process_namespace import process_namespace
from tests.conftest import ROOT


def test_it_is_that_of_other_processes_here() -> None:
    script = f"from {module.__name__} import process_namespace; print(process_namespace())"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == process_namespace()
    boot, number, start = process_namespace().split("/")
    assert len(boot) == 36
    assert number.isdigit()
    assert start.isdigit()


def test_what_the_system_does_not_show_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_BOOT_ID", "_NAMESPACE", "_INIT"):
        monkeypatch.setattr(module, name, tmp_path / name)
    process_namespace.cache_clear()
    try:
        assert process_namespace() == "//"
        (tmp_path / "_INIT").write_text("1 (a) b) S " + " ".join(map(str, range(50))))
        (tmp_path / "_BOOT_ID").write_text("boot\n")
        process_namespace.cache_clear()
        assert process_namespace() == "boot//18"
    finally:
        process_namespace.cache_clear()

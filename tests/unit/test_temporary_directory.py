"""The temporary directory is the one that the environment names, usable or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.temporary_directory import temporary_directory


@pytest.mark.parametrize("value", [None, ""])
def test_the_default(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    if value is not None:
        monkeypatch.setenv("TMPDIR", value)
    assert temporary_directory() == Path("/tmp")


def test_a_directory_that_cannot_be_written_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    assert temporary_directory() == tmp_path / "missing"

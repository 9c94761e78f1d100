"""Exports in a directory."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import UnavailableError
from airflow_deepseek_ocr.targets.directory import DirectoryTarget


def test_files_are_written_replaced_read_and_removed(tmp_path: Path) -> None:
    target = DirectoryTarget(tmp_path / "out")
    assert target.read("a/manifest.json") is None
    target.put("a/manifest.json", b"one", "application/json")
    (tmp_path / "content").write_bytes(b"two")
    target.put("a/manifest.json", tmp_path / "content", "application/json")
    assert target.read("a/manifest.json") == b"two"
    assert target.uri("a/b c") == f"file://{tmp_path}/out/a/b%20c"
    assert [each.name for each in (tmp_path / "out/a").iterdir()] == ["manifest.json"]
    target.remove("a/manifest.json")
    target.remove("a/manifest.json")
    assert target.read("a/manifest.json") is None


def test_a_file_that_cannot_be_written_whole_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = DirectoryTarget(tmp_path)
    target.put("a", b"before", "text/plain")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError, match="Free disk space") as failed:
        target.put("a", b"after", "text/plain")
    assert failed.value.code == "local_disk"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert target.read("a") == b"before"


def test_what_a_killed_task_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    old, young = tmp_path / ".a.0000.part", tmp_path / ".b.0000.part"
    for each in (old, young):
        each.write_bytes(b"half")
    before = time.time() - 7200
    os.utime(old, (before, before))
    target = DirectoryTarget(tmp_path)
    target.put("c", b"", "text/plain")
    assert not old.exists()
    assert young.exists()
    # Directories are searched once, not with each of thousands of files.
    os.utime(young, (before, before))
    target.put("d", b"", "text/plain")
    assert young.exists()

"""The directory of a document's copy, and those of processes that were killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.pipeline.working_directory import working_directory

HOUR, FORTNIGHT = 3600, 14 * 86_400
HOLD = """
import sys
from airflow_deepseek_ocr.pipeline.working_directory import working_directory
with working_directory() as path:
    (path / "document-0").write_text("content")
    print(path, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def age(directory: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(directory, (then, then))


def hold() -> tuple[subprocess.Popen[str], Path]:
    """Start a process that has a directory with a document."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def old(parent: Path, name: str, seconds: float, *files: str) -> Path:
    directory = parent / f"deepseek-ocr-{name}"
    directory.mkdir(mode=0o700)
    for each in files:
        (directory / each).write_text("content")
    age(directory, seconds)
    return directory


def sweep() -> None:
    with working_directory():
        pass


def test_the_directory_is_private_and_removed(parent: Path) -> None:
    with working_directory() as path:
        assert path.parent == parent
        assert path.stat().st_mode & 0o777 == 0o700
        (path / "document-0").write_text("content")
    assert list(parent.iterdir()) == []


def test_a_killed_process_leaves_it_until_the_next_start(parent: Path) -> None:
    process, directory = hold()
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert (directory / "document-0").exists()
    sweep()
    assert directory.exists(), "it may have been created a moment ago"
    age(directory, HOUR)
    sweep()
    assert list(parent.iterdir()) == []


def test_that_of_a_living_process_stays_however_old(parent: Path) -> None:
    process, directory = hold()
    age(directory, FORTNIGHT)
    sweep()
    assert (directory / "document-0").read_text() == "content"
    process.communicate("", timeout=60)
    assert list(parent.iterdir()) == []


def test_those_of_earlier_versions_go_after_a_week(parent: Path) -> None:
    recent = old(parent, "recent", HOUR, "document")
    gone = old(parent, "gone", FORTNIGHT, "document")
    sweep()
    assert recent.exists()
    assert not gone.exists()


def test_others_directories_stay(parent: Path) -> None:
    kept = [
        old(parent, "more", FORTNIGHT, "document", "thesis.odt"),
        old(parent, "shared", FORTNIGHT),
        parent / "deepseek-ocr-link",
        parent / "deepseek-ocr-file",
    ]
    kept[1].chmod(0o755)
    target = old(parent.parent, f"target-{os.getpid()}", FORTNIGHT, "document")
    kept[2].symlink_to(target)
    kept[3].write_text("content")
    os.utime(kept[3], (0, 0))
    sweep()
    assert all(each.exists() for each in kept)
    assert (target / "document").exists()


def test_a_lock_that_is_a_link_is_not_followed(parent: Path) -> None:
    directory = old(parent, "linked", FORTNIGHT)
    (directory / "lock").symlink_to("/dev/null")
    age(directory, FORTNIGHT)
    sweep()
    assert directory.exists()


def test_a_missing_parent_is_a_fault_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/no/such/directory")
    with pytest.raises(UnavailableError) as caught, working_directory():
        pass
    assert caught.value.code is ErrorCode.LOCAL_DISK

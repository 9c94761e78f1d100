"""How many cores a server on a CPU takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_deepseek_ocr.hardware import cpu_limits as cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host of 16 cores; the process is in a group within another."""
    (tmp_path / "cgroup").write_text("1:name=x:/other\n0::/system.slice/worker.service\n")
    own = tmp_path / "mount" / "system.slice" / "worker.service"
    own.mkdir(parents=True)
    monkeypatch.setattr(cores, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "_MOUNT", tmp_path / "mount")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return own


@pytest.mark.parametrize(
    ("own", "around", "usable", "threads"),
    [
        (None, None, 16, 15),
        ("max 100000", "max 100000", 16, 15),
        ("200000 100000", None, 2, 2),
        ("350000 100000", "max 100000", 4, 3),
        ("max 100000", "50000 100000", 1, 1),
        ("6400000 100000", None, 16, 15),
        ("garbage", None, 16, 15),
    ],
)
def test_quotas_count(
    groups: Path, own: str | None, around: str | None, usable: int, threads: int
) -> None:
    for directory, text in ((groups, own), (groups.parent, around)):
        if text is not None:
            (directory / "cpu.max").write_text(text + "\n")
    assert (cores.usable_cores(), cores.server_threads()) == (usable, threads)


def test_the_users_own_choice_stays(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cores.server_threads() is None


def test_without_control_groups(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_CGROUP", groups / "none")
    assert cores.usable_cores() == 16


def test_this_host() -> None:
    assert 1 <= cores.usable_cores() <= (os.cpu_count() or 1)

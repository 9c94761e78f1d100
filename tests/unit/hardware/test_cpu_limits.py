"""Cores that a process may use, and threads of a server on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_deepseek_ocr.hardware.cpu_limits import (
    THREADS_VARIABLE,
    default_render_processes,
    server_threads,
    usable_cores,
)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The control group of a process, in another one."""
    (tmp_path / "cgroup").write_text("1:name=x:/other\n0::/system.slice/worker.service\n")
    group = tmp_path / "mount" / "system.slice" / "worker.service"
    group.mkdir(parents=True)
    return group


def cores_of(own: Path, affinity: int = 16) -> int:
    mount = own.parents[1]
    return usable_cores(affinity, process_groups=mount.parent / "cgroup", mount=mount)


@pytest.mark.parametrize(
    ("quota", "outer_quota", "cores"),
    [
        (None, None, 16),
        ("max 100000", "max 100000", 16),
        ("200000 100000", None, 2),
        ("350000 100000", "max 100000", 4),
        ("max 100000", "50000 100000", 1),
        ("6400000 100000", None, 16),
        ("garbage", None, 16),
    ],
)
def test_the_smallest_quota_limits_the_cores(
    own: Path, quota: str | None, outer_quota: str | None, cores: int
) -> None:
    for directory, text in ((own, quota), (own.parent, outer_quota)):
        if text is not None:
            (directory / "cpu.max").write_text(text + "\n")
    assert cores_of(own) == cores


def test_the_affinity_limits_the_cores(own: Path) -> None:
    (own / "cpu.max").write_text("400000 100000\n")
    assert cores_of(own, affinity=3) == 3


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cores(16, process_groups=tmp_path / "none", mount=tmp_path) == 16


def test_the_affinity_of_this_process_is_asked_of_the_kernel(tmp_path: Path) -> None:
    code = (
        "import os; from pathlib import Path\n"
        "from airflow_deepseek_ocr.hardware.cpu_limits import usable_cores\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "print(usable_cores(process_groups=Path('/none')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "1\n"


def test_this_host() -> None:
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (3, 2), (4, 3), (16, 15)])
def test_one_core_of_three_or_more_is_left_to_the_tasks(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    monkeypatch.delenv(THREADS_VARIABLE, raising=False)
    assert server_threads(cores) == threads


def test_the_users_choice_has_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "3")
    assert server_threads(16) is None


def test_the_cores_are_measured_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS_VARIABLE, raising=False)
    assert server_threads() == server_threads(usable_cores())


@pytest.mark.parametrize(
    ("engine_cores", "cores", "expected"),
    [(1, 1, 1), (1, 2, 1), (1, 4, 3), (3, 4, 1), (3, 16, 8), (1, 64, 8)],
)
def test_rendering_processes_leave_cores_to_the_engine(
    engine_cores: int, cores: int, expected: int
) -> None:
    assert default_render_processes(engine_cores, cores) == expected


def test_rendering_processes_are_counted_by_what_this_process_may_use() -> None:
    assert default_render_processes() == max(1, min(8, usable_cores() - 1))

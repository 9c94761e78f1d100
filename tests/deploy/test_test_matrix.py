"""tools/test-matrix installs pairs of Airflow and Python, counts their tests, and says what did not run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from tests.conftest import ROOT
from tests.support.airflow_releases import PYTHONS, RELEASES

SCRIPT = ROOT / "tools" / "test-matrix"
PAGE = ROOT / "docs" / "measurements" / "versions.md"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = SourceFileLoader("test_matrix", str(SCRIPT))
    spec = spec_from_loader("test_matrix", loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_pairs_are_those_that_the_package_admits() -> None:
    admitted = SpecifierSet(PROJECT["requires-python"])
    assert [f"3.{minor}" for minor in range(30) if f"3.{minor}" in admitted] == list(PYTHONS)
    (airflow,) = (each for each in PROJECT["dependencies"] if each.startswith("apache-airflow>"))
    bounds = SpecifierSet(airflow.removeprefix("apache-airflow"))
    assert all(release.version in bounds for release in RELEASES.values())
    oldest = next(iter(RELEASES))
    assert f"{oldest}.0" in bounds
    assert f"3.{int(oldest.partition('.')[2]) - 1}.99" not in bounds


def test_the_tests_of_each_kind_exist(script: ModuleType) -> None:
    for paths in script.TESTS.values():
        assert all((ROOT / path).exists() for path in paths)


def test_a_program_that_takes_too_long_ends_with_its_children(
    script: ModuleType, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    began = time.monotonic()
    with pytest.raises(script.NotRunError, match=f"took longer than 2 s; {log} has its output"):
        script.run(["sh", "-c", "sleep 30 & echo $!; wait"], 2, log=log)
    child = Path("/proc", log.read_text().strip(), "cmdline")
    # One that ended and that no process has asked about has an empty command line.
    while child.exists() and child.read_bytes():
        assert time.monotonic() - began < 20
        time.sleep(0.02)


def test_a_program_that_fails_is_shown_with_its_output(script: ModuleType) -> None:
    with pytest.raises(script.NotRunError, match="no such thing"):
        script.run(["sh", "-c", "echo no such thing; exit 3"], 10)


def test_an_interpreter_of_another_version_is_not_taken(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a name on the path that belongs to another Python, and a uv that fetches none."""
    (tmp_path / "python3.99").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with pytest.raises(script.NotRunError, match=r"no Python 3\.99 here, and uv cannot fetch it"):
        script.find_python("3.99", "false")
    running = "{}.{}".format(*sys.version_info)
    kept = tmp_path / "versions" / f"{running}.9" / "bin" / "python"
    kept.parent.mkdir(parents=True)
    kept.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    kept.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert script.find_python(running, "false") == str(kept)


def test_pins_are_those_of_the_date_without_what_is_lifted(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = tmp_path / "uv"
    uv.write_text('#!/bin/sh\necho "$@" > "$0.told"\necho click==8.3.1\necho fastapi==0.117.1\n')
    uv.chmod(0o755)
    monkeypatch.setattr(script, "CONSTRAINTS", (tmp_path / "{}-{}").as_uri())
    release = RELEASES["3.1"]
    pins, source = script.constraints(release, "3.12", tmp_path, str(uv))
    assert source == f"newest before {release.before}"
    assert pins.read_text().splitlines() == [f"# {source}", "fastapi==0.117.1"]
    assert (
        f"--python-version 3.12 --exclude-newer {release.before}" in Path(f"{uv}.told").read_text()
    )
    # Kept: another run asks for nothing.
    assert script.constraints(release, "3.12", tmp_path, "false") == (pins, source)


def test_published_constraints_come_first(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tmp_path / "published-3.2.2-3.13"
    published.write_text("click==8.3.1\n")
    monkeypatch.setattr(script, "CONSTRAINTS", f"{tmp_path.as_uri()}/published-{{}}-{{}}")
    uv = tmp_path / "uv"
    uv.write_text('#!/bin/sh\nfor each; do case $each in *.official) cat "$each"; esac; done\n')
    uv.chmod(0o755)
    pins, source = script.constraints(RELEASES["3.2"], "3.13", tmp_path, str(uv))
    assert source == "Airflow's constraints"
    assert pins.read_text() == f"# {source}\n"


def test_torch_is_a_wheel_for_the_python_if_there_is_a_directory_of_wheels(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    assert script.torch_arguments("3.12") == ["--torch-backend=cpu"]
    (tmp_path / "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    assert script.torch_arguments("3.11") == ["torch==2.13.0+cpu"]
    assert script.torch_arguments("3.12") == []


def test_the_tests_of_a_pair_are_counted(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With this Python in place of the pair's own environment."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    tests = tmp_path / "test_counts.py"
    tests.write_text(
        "import os\nimport pytest\n\n\n"
        "def test_home():\n    assert os.environ['AIRFLOW_HOME'].endswith('/home')\n\n\n"
        "def test_wrong():\n    print('first words', 'x' * 2000)\n    assert False\n\n\n"
        "def test_left_out():\n    pytest.skip('no')\n"
    )
    monkeypatch.setitem(script.TESTS, "few", [str(tests)])
    result = script.run_tests(tmp_path, "few", 60, 0)
    assert (result["passed"], result["failed"], result["skipped"]) == (1, 1, 1)
    assert [each.rpartition("::")[2] for each in result["failed_tests"]] == ["test_wrong"]
    log = (tmp_path / "few.log").read_text()
    assert "assert False" in log
    assert "first words" in log


def test_a_pair_that_cannot_be_installed_is_in_the_table(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "CONSTRAINTS", (tmp_path / "{}-{}").as_uri())
    result: dict[str, Any] = script.run_cell("3.1", "3.12", "light", tmp_path, 1.0, 1, "false")
    assert "false pip compile" in result["not_run"]
    assert "passed" not in result
    row = script.table([json.loads(json.dumps(result))]).splitlines()[-1]
    assert row.startswith(f"| {RELEASES['3.1'].version} | 3.12 | - |")
    assert "not run: false pip compile" in row


def test_the_program_refuses_an_unknown_pair() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--airflow", "2.11"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "invalid choice: '2.11'" in done.stderr


def test_the_page_shows_runs_of_each_release_and_each_python(script: ModuleType) -> None:
    text = PAGE.read_text("utf-8")
    assert script.table([]).splitlines()[0] in text
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if re.match(r"\| 3\.\d+\.\d+ ", line)
    ]
    assert {row[0] for row in rows} == {release.version for release in RELEASES.values()}
    assert {".".join(row[1].split(".")[:2]) for row in rows} == set(PYTHONS)

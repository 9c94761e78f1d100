"""Landlock, tried in a process that ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_deepseek_ocr.ocr.rendering.sandbox.landlock import landlock_abi

ABI = landlock_abi()
needs_landlock = pytest.mark.skipif(ABI < 1, reason="this kernel has no Landlock")

CODE = """
import os, sys, socket
from pathlib import Path
from airflow_deepseek_ocr.ocr.rendering.sandbox.kernel import forbid_new_privileges
from airflow_deepseek_ocr.ocr.rendering.sandbox.landlock import restrict_files
directory, abi = Path(sys.argv[1]), int(sys.argv[2])
open_before = os.open(directory / "open", os.O_RDWR)
forbid_new_privileges()
restrict_files([directory / "readable", directory / "file", directory / "missing"], abi)
def attempt(name, action):
    try:
        action()
    except OSError as error:
        print(name, type(error).__name__)
    else:
        print(name, "ok")
attempt("readable", lambda: (directory / "readable" / "a").read_text())
attempt("listed", lambda: list((directory / "readable").iterdir()))
attempt("file", lambda: (directory / "file").read_text())
attempt("sibling", lambda: (directory / "secret").read_text())
attempt("written", lambda: (directory / "file").write_text("x"))
attempt("created", lambda: (directory / "readable" / "b").touch())
attempt("removed", lambda: (directory / "file").unlink())
attempt("open before", lambda: os.write(open_before, b"x"))
attempt("TCP", lambda: socket.socket().connect(("127.0.0.1", 1)))
"""


def run(directory: Path, abi: int) -> dict[str, str]:
    (directory / "readable").mkdir()
    for name in ("readable/a", "file", "secret", "open"):
        (directory / name).write_text("content")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(directory), str(abi)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())


@needs_landlock
@pytest.mark.parametrize("abi", [each for each in (1, 2, 3, 4, 5, 6, 7) if each <= ABI])
def test_named_files_are_readable_and_nothing_else_is_possible(tmp_path: Path, abi: int) -> None:
    found = run(tmp_path, abi)
    assert found.pop("TCP") == ("PermissionError" if abi >= 4 else "ConnectionRefusedError")
    assert found == {
        "readable": "ok",
        "listed": "ok",
        "file": "ok",
        "open before": "ok",
        "sibling": "PermissionError",
        "written": "PermissionError",
        "created": "PermissionError",
        "removed": "PermissionError",
    }


def test_the_version_of_the_interface_is_a_number() -> None:
    assert ABI >= 0

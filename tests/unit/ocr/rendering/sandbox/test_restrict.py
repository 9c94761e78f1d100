"""A process gives up its rights, and reports those that it could not give up."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest

from airflow_deepseek_ocr.ocr.rendering.sandbox.landlock import landlock_abi
from airflow_deepseek_ocr.ocr.rendering.sandbox.restrict import Host

CODE = """
import json, os, resource, sys, threading
import PIL
from airflow_deepseek_ocr.ocr.rendering.sandbox.restrict import Host, restrict
if sys.argv[3] == "threads":
    threading.Thread(target=lambda: __import__("time").sleep(1000), daemon=True).start()
report = restrict([PIL], Host(int(sys.argv[1]), sys.argv[2]))
def allowed(path):
    try:
        open(path).close()
        return True
    except OSError:
        return False
print(json.dumps({
    "landlock": report.landlock, "missing": report.missing, "library": allowed(os.__file__),
    "package": allowed(PIL.__file__), "other": allowed("/etc/passwd"),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE),
}), flush=True)
os._exit(0)
"""


def run(abi: int, machine: str, threads: str = "") -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(abi), machine, threads],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return dict(json.loads(done.stdout))


@pytest.mark.skipif(landlock_abi() < 1, reason="this kernel has no Landlock")
def test_a_current_kernel_has_all_restrictions() -> None:
    this = Host.this()
    assert run(this.landlock_abi, this.machine) == {
        "landlock": this.landlock_abi,
        "missing": [],
        "library": True,
        "package": True,
        "other": False,
        "files": [64, 64],
    }


def test_a_missing_means_keeps_the_other_one() -> None:
    this = Host.this()
    found = run(0, this.machine)
    (missing,) = found["missing"]  # type: ignore[misc]
    assert missing.startswith("Landlock: use Linux 5.13")
    assert found["other"] is True


def test_an_unknown_architecture_has_no_filter() -> None:
    found = run(landlock_abi(), "riscv64")
    assert any("not riscv64" in str(each) for each in found["missing"])  # type: ignore[attr-defined]


def test_threads_that_run_already_are_reported() -> None:
    assert threading.active_count() >= 1
    this = Host.this()
    found = run(this.landlock_abi, this.machine, "threads")
    assert any("one thread" in str(each) for each in found["missing"])  # type: ignore[attr-defined]

"""Peak memory of a child."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from airflow_deepseek_ocr.ocr.rendering.child_memory import ChildMemory

#: Takes 60 MB and releases it, at each line; answers each line.
_PROGRAM = """
import sys
for line in sys.stdin:
    b"1" * 60_000_000
    print("done", flush=True)
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", _PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def use(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"done\n"


def test_the_peak_is_kept_until_it_is_forgotten(child: subprocess.Popen[bytes]) -> None:
    memory = ChildMemory(child.pid)
    use(child)
    peak = memory.peak_bytes()
    memory.forget_peak()
    after = memory.peak_bytes()
    memory.close()
    assert 60_000_000 < peak < 200_000_000
    assert 0 < after < peak - 50_000_000


def test_a_process_that_has_ended_has_none(child: subprocess.Popen[bytes]) -> None:
    memory = ChildMemory(child.pid)
    child.kill()
    child.wait(20)
    memory.forget_peak()
    assert memory.peak_bytes() == 0
    memory.close()
    memory.close()
    assert memory.peak_bytes() == 0
    gone = ChildMemory(child.pid)
    gone.forget_peak()
    assert gone.peak_bytes() == 0

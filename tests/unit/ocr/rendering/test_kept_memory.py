"""Memory that a rendering process keeps for the next page, and what it returns."""

from __future__ import annotations

import mmap
import subprocess
import sys

import pytest

from airflow_deepseek_ocr.ocr.rendering.kept_memory import KeptMemory

#: Takes blocks as a page does, several times. For each time but the first it prints page faults, and the MiB
#: that are kept before and after memory is released.
_PROGRAM = """
import resource, sys
from airflow_deepseek_ocr.ocr.rendering import kept_memory
mib, times = int(sys.argv[1]), 4
kept_memory.keep_memory()
memory = kept_memory.KeptMemory()
before = memory.resident_bytes()
for _ in range(times):
    blocks = [bytes([1]) * (1 << 20) * 12 for _ in range(mib // 12)]
    del blocks
    kept = memory.resident_bytes() - before
    memory.release()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    if _:
        print((faults - seen), kept >> 20, (memory.resident_bytes() - before) >> 20)
    seen = faults
"""


def _run(mib: int) -> list[list[int]]:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(mib)], capture_output=True, text=True, check=True
    )
    return [[int(number) for number in line.split()] for line in ran.stdout.splitlines()]


def test_the_memory_of_a_page_is_used_again() -> None:
    for faults, _, left in _run(48):
        assert faults < 100, "the kernel gave no new memory"
        assert left >= 40


def test_the_memory_of_a_large_page_is_returned() -> None:
    for faults, _, left in _run(240):
        assert faults > 40 << 8, "the kernel gave new memory"
        assert left < 64


def test_what_a_process_has_is_measured() -> None:
    memory = KeptMemory()
    try:
        before = memory.resident_bytes()
        # Not from malloc, which may have memory of other tests.
        with mmap.mmap(-1, 30 << 20) as block:
            block.write(b"1" * (30 << 20))
            assert memory.resident_bytes() - before > 25 << 20
    finally:
        memory.close()
    with pytest.raises(OSError, match="descriptor"):
        memory.resident_bytes()

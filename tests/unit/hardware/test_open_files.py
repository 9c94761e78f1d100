"""The limit of open files, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import resource, sys
from airflow_deepseek_ocr.hardware.open_files import raise_open_files_limit
before = int(sys.argv[1])
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (before, int(sys.argv[2])))
raise_open_files_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("before", "most", "after"), [(256, 4096, 4096), (4096, 4096, 4096), (256, 256, 256)]
)
def test_the_limit_becomes_what_the_system_allows(before: int, most: int, after: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(before), str(most)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(after), str(most)]
    assert not done.stderr

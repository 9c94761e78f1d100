"""The command line as a process."""

from __future__ import annotations

import subprocess
import sys


def run(
    *arguments: object, module: str = "airflow_deepseek_ocr.cli"
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m module ARGUMENTS`` to its end."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False, stdin=subprocess.DEVNULL
    )

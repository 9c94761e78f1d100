"""A rendering process on a kernel without Landlock and without a known architecture."""

from __future__ import annotations

import sys

from airflow_deepseek_ocr.ocr.rendering import worker
from airflow_deepseek_ocr.ocr.rendering.sandbox.restrict import Host

if __name__ == "__main__":
    sys.exit(worker.main(sys.argv[1:], host=Host(landlock_abi=0, machine="riscv64")))

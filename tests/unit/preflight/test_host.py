"""The answers of this host."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.exceptions import MissingExtraError, UnavailableError
from airflow_deepseek_ocr.preflight.host import THIS_HOST


@pytest.mark.timeout(300)
def test_this_host_answers_through_the_real_functions() -> None:
    assert 0 < THIS_HOST.available_bytes() < psutil.virtual_memory().total
    assert THIS_HOST.probe_torch(Path(sys.executable)).package == __version__
    try:
        driver, gpus = THIS_HOST.driver_and_gpus()
    except (UnavailableError, MissingExtraError):
        return  # a host without a driver, or without NVML's package
    assert driver
    assert bool(gpus) <= THIS_HOST.has_gpu()

"""The small checkpoint, loaded once for all tests that read with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.decoding import Decoding
from tests.conftest import TINY_MODEL


@pytest.fixture(scope="session")
def engine() -> Iterator[InProcessEngine]:
    running = InProcessEngine(
        TINY_MODEL, device="cpu", batch_size=4, decoding=Decoding(max_output_length=160)
    )
    yield running
    running.close()

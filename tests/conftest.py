"""Options and fixtures for all tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TINY_MODEL = ROOT / "models" / "deepseek-ocr-tiny"


@pytest.fixture(autouse=True)
def _log_levels() -> Iterator[None]:
    """Restore the level of the renderer's log, which the command preflight raises for its process."""
    rendering = logging.getLogger("airflow_deepseek_ocr.ocr.rendering")
    level = rendering.level
    yield
    rendering.setLevel(level)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        type=Path,
        default=ROOT / "tests" / "corpus" / "golden",
        metavar="DIR",
        help="directory of vectors recorded from the original code, in the form of tests/corpus/golden",
    )

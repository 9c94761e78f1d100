"""Options and fixtures for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TINY_MODEL = ROOT / "models" / "deepseek-ocr-tiny"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        type=Path,
        default=ROOT / "tests" / "corpus" / "golden",
        metavar="DIR",
        help="directory of vectors recorded from the original code, in the form of tests/corpus/golden",
    )

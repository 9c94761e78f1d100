"""Options and fixtures for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TINY_MODEL = ROOT / "models" / "deepseek-ocr-tiny"
#: Vectors recorded from the original code of each model family.
GOLDEN = [ROOT / "tests" / "corpus" / name for name in ("golden", "golden_2")]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        type=Path,
        action="append",
        metavar="DIR",
        help="directory of vectors recorded from the original code, in the form of tests/corpus/golden, in "
        "place of those in tests/corpus; may be repeated",
    )

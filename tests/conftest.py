"""Options and fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each worker has a core of its own: threads of several torches on the same cores wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

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


def _encodable(value: Any) -> Any:
    """Return a report's value without lone surrogates, which pytest-xdist cannot send."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {_encodable(key): _encodable(item) for key, item in value.items()}
        case list() | tuple():
            return type(value)(_encodable(item) for item in value)
        case _:
            return value


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Replace undecodable bytes in captured output: some tests print names of files with such bytes."""
    return _encodable((yield))

"""Flags, their weights, and the page that explains both."""

from __future__ import annotations

import re

from airflow_deepseek_ocr.ocr.quality.flags import WEIGHTS, Flag
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "design" / "quality-checks.md"
_ROW = re.compile(r"^\| `(\w+)` \| ([\d.]+) \| [^|]+ \|$", re.MULTILINE)


def test_the_documented_flags_and_weights_are_those_of_the_code() -> None:
    documented = [(name, float(weight)) for name, weight in _ROW.findall(PAGE.read_text("utf-8"))]
    assert documented == [(flag.value, WEIGHTS[flag]) for flag in Flag]


def test_a_weight_neither_ignores_a_flag_nor_ends_at_0() -> None:
    assert all(0 < weight < 1 for weight in WEIGHTS.values())

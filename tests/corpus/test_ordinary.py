"""The recorded outputs for ordinary pages: what confidence finds, and how they are kept."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_deepseek_ocr.ocr.quality.checks import check_quality
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities
from tests.conftest import ROOT
from tests.corpus.model_outputs.measure import (
    ORDINARY,
    load_ordinary,
    measure,
    ordinary_table,
    quality_input,
    rates,
)
from tests.corpus.model_outputs.ordinary import large_pages, ordinary_pages
from tests.corpus.model_outputs.probabilities import pack, unpack
from tests.corpus.model_outputs.record_ordinary import character_error


@pytest.mark.parametrize("half", ["tuning", "held_out"])
def test_at_least_90_percent_of_gibberish_is_found_at_under_2_percent_false_alarms(
    half: str,
) -> None:
    found, bad, alarms, good = rates(measure(load_ordinary()), half)
    assert bad >= 15
    assert good >= 10
    assert found / bad >= 0.9
    assert alarms / good < 0.02


def test_confidence_finds_it_and_not_the_text() -> None:
    reports = [check_quality(quality_input(line)) for line in load_ordinary() if line["faults"]]
    assert sum(Flag.LOW_CONFIDENCE in report.flags for report in reports) >= 0.9 * len(reports)


def test_the_documented_table_is_the_measured_one() -> None:
    page = (ROOT / "docs" / "measurements" / "confidence.md").read_text("utf-8")
    assert ordinary_table() in page
    assert ORDINARY.stat().st_size < 300_000


def test_recorded_probabilities_keep_tokens_and_nearly_their_values() -> None:
    pieces = ("Größe ".encode(), b"4", b"2", "€".encode(), b"\n")
    values = (-0.0, -0.001, -0.1, -10.0, -50.0)
    text = b"".join(pieces).decode()
    found = unpack(text, pack(TokenProbabilities(pieces=pieces, log_probabilities=values)))
    assert found.pieces == pieces
    assert np.abs(np.subtract(found.log_probabilities, values))[:4].max() < 0.2
    assert found.log_probabilities[2] == pytest.approx(-0.1, abs=0.02)
    assert found.log_probabilities[4] < -21


def test_pages_show_their_text_and_are_the_same_each_time() -> None:
    for draw in (ordinary_pages, large_pages):
        first, again = draw(3), draw(3)
        assert [page.text for page in first] == [page.text for page in again]
        assert [page.image.tobytes() for page in first] == [page.image.tobytes() for page in again]
        for page in first:
            left, top, right, bottom = page.image.point(lambda grey: 255 * (grey < 128)).getbbox()
            assert left > 80
            assert top > 80
            assert right < page.image.width
            assert bottom < page.image.height
            assert len(page.text.splitlines()) >= 4


def test_the_character_error_leaves_out_boxes_and_line_ends() -> None:
    text = "<|ref|>text<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\nTotal\n4 2"
    assert character_error(text, "Total 42") == pytest.approx(1 / 8)

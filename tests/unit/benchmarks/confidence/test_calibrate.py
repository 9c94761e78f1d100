"""Words of pages beside the true ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities
from benchmarks.confidence.calibrate import Words, confidence_of, draw, figures, tables


def _output(*tokens: tuple[str, float]) -> PageOutput:
    pieces, values = zip(*tokens, strict=True)
    return PageOutput(
        key=0,
        text="".join(pieces),
        token_probabilities=TokenProbabilities(
            pieces=tuple(piece.encode() for piece in pieces), log_probabilities=values
        ),
    )


def test_a_word_is_right_where_the_page_has_it() -> None:
    output = _output(
        ("Total", -0.1), (" ", 0.0), ("4", -1.0), ("2", -1.0), (" ", 0.0), ("EUR", 0.0)
    )
    words = Words()
    words.add(3, confidence_of(output, "free", (9, 9)), ["Total", "47", "EUR", "net"])
    assert words.text == ["Total", "42", "EUR"]
    assert words.right == [True, False, True]
    assert words.confidence == pytest.approx([0.905, 0.135, 1.0], abs=1e-3)
    assert words.page == [3, 3, 3]


def test_an_engine_without_probabilities_is_named() -> None:
    with pytest.raises(ValueError, match="returns no probabilities"):
        confidence_of(PageOutput(key=0, text="Total"), "free", (9, 9))


def test_figures_are_printed_and_drawn(tmp_path: Path) -> None:
    words = Words(
        [0, 0, 1, 1], ["a", "1", "b", "2"], [0.9, 0.3, 0.8, 0.2], [True, False, True, True]
    )
    found = figures(words)
    assert found["words with digits"].words == 2
    lines = tables(found).splitlines()
    assert lines[2] == "| all words | 4 | 75.0% | 0.550 | 0.350 | 0.667 |"
    draw(found, "a test", tmp_path / "reliability.png")
    with Image.open(tmp_path / "reliability.png") as picture:
        assert min(picture.size) > 300

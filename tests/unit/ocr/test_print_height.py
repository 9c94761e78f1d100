"""The height of print, from edges."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from airflow_deepseek_ocr.ocr.edge_density import measure_edge_density
from airflow_deepseek_ocr.ocr.print_height import print_height
from tests.support.fixtures.model_output import PROSE


def page(*lines: tuple[str, int], side: int = 1200) -> Image.Image:
    """Return a page of lines with their font sizes in pixels."""
    image, top = Image.new("L", (side, side), 255), 60
    for text, size in lines:
        ImageDraw.Draw(image).text((60, top), text, fill=0, font=ImageFont.load_default(size))
        top += round(size * 1.3)
    return image


def measured(image: Image.Image) -> float | None:
    density = measure_edge_density(image)
    assert density is not None
    return density.print_height


@pytest.mark.parametrize("size", [10, 14, 20, 32, 60, 80])
def test_print_is_half_to_nine_tenths_of_its_font_s_size(size: int) -> None:
    height = measured(page(*[(PROSE[: 1000 // size], size)] * 8))
    assert height is not None
    assert 0.5 <= height / size <= 0.9


def test_the_body_counts_and_not_a_heading_or_a_word_below() -> None:
    body = [(PROSE[:60], 24)] * 10
    alone = measured(page(*body))
    assert alone is not None
    heading = measured(page(("Invoice 4711", 90), *body))
    assert heading == pytest.approx(alone, abs=1)
    assert measured(page(*body, ("see overleaf", 11))) == pytest.approx(alone, abs=2)
    assert measured(page(*body, *[(PROSE[:110], 11)] * 10)) == pytest.approx(8, abs=2)


def test_a_larger_picture_of_a_page_has_larger_print() -> None:
    small = page(*[(PROSE[:60], 20)] * 10)
    height = measured(small)
    assert height is not None
    assert measured(small.resize((2400, 2400))) == pytest.approx(2 * height, abs=3)


def test_what_has_no_print_has_no_height() -> None:
    assert measured(Image.new("L", (900, 900), 255)) is None
    assert print_height(np.zeros((50, 0), np.uint8), window=160, least=6) is None
    rules = Image.new("L", (900, 900), 255)
    for left in range(0, 900, 10):
        ImageDraw.Draw(rules).line((left, 0, left, 900), fill=0)
    assert measured(rules) is None
    grain = np.random.default_rng(3).normal(235, 6, (900, 900)).clip(0, 255).astype(np.uint8)
    assert measured(Image.fromarray(grain)) is None


def test_edges_weigh_the_lines() -> None:
    edges = np.zeros((100, 2), np.uint8)
    edges[10:20, 0], edges[40:70, 1] = 7, 20
    assert print_height(edges, window=1000, least=6) == 30
    edges[80:90, 0] = 20
    assert print_height(edges, window=1000, least=6) == 10
    assert print_height(edges, window=1000, least=21) is None


def test_tall_lines_are_measured_in_wider_windows() -> None:
    edges = np.zeros((100, 4), np.uint8)
    edges[10:50], edges[30:50] = 4, 8
    assert print_height(edges, window=160, least=6) == 40
    assert print_height(edges, window=500, least=6) == 20
    # A narrow page has no wider window.
    assert print_height(edges[:, :1], window=160, least=6) == 20

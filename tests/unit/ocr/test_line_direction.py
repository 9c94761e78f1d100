"""The direction of a page's lines of text."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.line_direction import LineDirection, find_line_direction
from tests.conftest import ROOT
from tests.support.fixtures.model_output import PROSE, image_of

_UPRIGHT = image_of("\n".join([PROSE[:80]] * 18))


@pytest.mark.parametrize(
    ("turn", "direction"),
    [
        (None, LineDirection.ACROSS),
        (Image.Transpose.ROTATE_180, LineDirection.ACROSS),
        (Image.Transpose.ROTATE_90, LineDirection.DOWN),
        (Image.Transpose.ROTATE_270, LineDirection.DOWN),
    ],
)
@pytest.mark.parametrize("file", [None, "table.png", "letter.tiff", "form_dd0293.pdf"])
def test_lines_of_text_tell_a_page_on_its_side(
    file: str | None, turn: Image.Transpose | None, direction: LineDirection
) -> None:
    image = _UPRIGHT
    if file is not None:
        with open_document(ROOT / "demo" / "documents" / file) as document:
            image = document.page(1).image
    assert find_line_direction(image.transpose(turn) if turn is not None else image) is direction


def _noise() -> Image.Image:
    grey = np.random.default_rng(1).integers(0, 256, (900, 700), dtype=np.uint8)
    return Image.fromarray(grey)


@pytest.mark.parametrize(
    "image",
    [Image.new("RGB", (700, 900), "white"), Image.new("L", (9, 9)), _noise()],
    ids=["blank", "tiny", "noise"],
)
def test_without_lines_the_direction_is_unclear(image: Image.Image) -> None:
    assert find_line_direction(image) is LineDirection.UNCLEAR

"""Turned pages: their boxes, the part that is probed, the choice of the turn."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput
from airflow_deepseek_ocr.ocr.line_direction import LineDirection
from airflow_deepseek_ocr.ocr.markup.grounding import parse
from airflow_deepseek_ocr.ocr.page_turns import turn, turn_size
from airflow_deepseek_ocr.ocr.recognition.turning import (
    probe_image,
    surest_turn,
    turn_boxes_back,
    turns_to_probe,
)
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities
from tests.support.fakes.scripted_engine import GOOD, LOOP, sheet

#: A black mark on a page: its pixels, and where a model sees it.
_SIZE, _MARK = (1000, 2000), (100, 300, 250, 340)


def _page() -> Image.Image:
    image = Image.new("L", _SIZE, 255)
    ImageDraw.Draw(image).rectangle(_MARK, fill=0)
    return image


def _seen(image: Image.Image) -> list[int]:
    """Return the mark's box as a model writes it."""
    left, top, right, bottom = image.point(lambda grey: 255 - grey).getbbox() or (0, 0, 0, 0)
    width, height = image.size
    return [
        round(v * 999 / of)
        for v, of in zip((left, top, right, bottom), (width, height) * 2, strict=True)
    ]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_boxes_of_a_turned_page_are_mapped_back(rotation: int) -> None:
    turned = turn(_page(), rotation)
    assert turned.size == turn_size(_SIZE, rotation)
    text = f"<|ref|>text<|/ref|><|det|>[{_seen(turned)}]<|/det|>\nmark [1, 2, 3, 4]"
    back = turn_boxes_back(text, rotation).text
    (region,) = parse(back, text_in_ref=False, width=_SIZE[0], height=_SIZE[1])
    assert region.boxes[0].pixels == pytest.approx(_MARK, abs=3)
    assert region.text == "mark [1, 2, 3, 4]", "only boxes between their markers are boxes"


def test_boxes_outside_of_the_page_stay_outside_and_inverted_ones_inverted() -> None:
    text = "<|ref|>a<|/ref|><|det|>[[10, 20, 1400, 5]]<|/det|>"
    (region,) = parse(turn_boxes_back(text, 180).text, text_in_ref=False, width=99, height=99)
    assert region.boxes[0].normalized == (-401, 994, 989, 979)


def test_each_direction_has_its_turns() -> None:
    assert turns_to_probe(LineDirection.ACROSS) == (0, 180)
    assert turns_to_probe(LineDirection.DOWN) == (0, 90, 270)
    assert turns_to_probe(LineDirection.UNCLEAR) == (0, 90, 180, 270)


def test_the_part_with_the_most_print_is_probed() -> None:
    page = Image.new("RGB", (1700, 2200), "white")
    page.paste(sheet(width=640, height=400), (1000, 1500))
    part = probe_image(page)
    assert part.size == (850, 850)
    assert sum(part.convert("L").histogram()[:128]) == sum(page.convert("L").histogram()[:128])


@pytest.mark.parametrize("size", [(640, 640), (300, 2000), (5, 3), (1, 5), (5, 1)])
def test_the_probed_part_is_a_square_within_the_page(size: tuple[int, int]) -> None:
    part = probe_image(Image.new("RGB", size, "white"))
    assert part.size == (min(size), min(size))


def _probe(mean: float, text: str = GOOD, tokens: int = 40) -> PageOutput:
    probabilities = TokenProbabilities(pieces=(b"x",) * tokens, log_probabilities=(mean,) * tokens)
    return PageOutput(key=0, text=text, token_probabilities=probabilities)


_OUT_OF_MEMORY = PageOutput(key=0, error=UnavailableError(ErrorCode.OUT_OF_MEMORY, "no room"))


@pytest.mark.parametrize(
    ("probes", "rotation"),
    [
        ({0: _probe(-1.2), 180: _probe(-0.1)}, 180),
        ({0: _probe(-0.1), 180: _probe(-1.2)}, 0),
        ({0: _probe(-0.9), 90: _probe(-0.5), 270: _probe(-0.05)}, 270),
        ({0: _probe(-0.30), 180: _probe(-0.295)}, 0),
        ({0: _probe(-1.2), 180: _probe(-0.01, LOOP)}, 0),
        ({0: _probe(-0.01, LOOP), 180: _probe(-0.1)}, 180),
        ({0: _probe(-0.9), 180: _probe(-0.1, "<table><tr><td>Total</td><td>4")}, 180),
        ({0: _probe(-0.1, "", 0), 90: _probe(-0.05), 270: _probe(-2.0)}, 90),
        ({0: _probe(-0.1, "", 0), 90: _probe(-2.5), 270: _probe(-2.0)}, 0),
        ({0: PageOutput(key=0, text=GOOD), 180: PageOutput(key=0, text=GOOD)}, 0),
        ({0: _OUT_OF_MEMORY, 180: _probe(-0.1)}, 0),
    ],
    ids=[
        "surer on its head",
        "surer as it is",
        "the surest of three",
        "hardly surer",
        "a loop is no text",
        "a loop as it is",
        "a table that is cut off",
        "text only when turned",
        "guesses on a page without text",
        "an engine without probabilities",
        "an error",
    ],
)
def test_the_turn_of_which_the_model_is_clearly_surer_is_taken(
    probes: dict[int, PageOutput], rotation: int
) -> None:
    assert surest_turn(probes) == rotation

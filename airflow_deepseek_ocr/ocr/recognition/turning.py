"""Pages that lie on their side or are upside down: how their turn is found, and their boxes turned back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from airflow_deepseek_ocr.ocr.edge_density import MIN_EDGE
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput
from airflow_deepseek_ocr.ocr.line_direction import LineDirection
from airflow_deepseek_ocr.ocr.markup.box_rewriting import EditedText, rewrite_boxes
from airflow_deepseek_ocr.ocr.page_turns import upright_box
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.results import MAX_COORDINATE

#: The prompt of probes: text without boxes shows soonest whether the model can read the page.
PROBE_PROMPT = "free"
#: Tokens of a probe, about two lines: the surest of four turns was the right one on 40 of 40 generated pages
#: of ``benchmarks.confidence.turned_pages``; with half of the tokens on 38.
PROBE_TOKENS = 64
#: Fewer tokens say nothing.
_LEAST_TOKENS = 8
#: Difference of the mean log-probabilities of two probes from which a page is turned: the smallest of 40
#: drawn pages was 0.017. And the mean that a turned page needs where the upright one has no text: about half
#: as probable as certain tokens, which was not measured.
_LEAST_GAIN, _LEAST_SURE = 0.01, -0.7
#: Shortest side of the part of a page that is probed, in pixels: a view in the cheapest mode, unscaled.
_PROBE_SIDE = 640
#: Its side as a share of the page's shorter side, where that is larger.
_PROBE_SHARE = 0.5
#: Fields along the side of that part, on which the part with the most print is sought.
_FIELDS = 40
#: Flags of text that a model repeats with high probabilities.
_LOOPS = frozenset({Flag.LOOP, Flag.REPEATED_LINES, Flag.REPEATED_WORDS})
#: Size of a page in the coordinates of the model's boxes.
_PAGE = (MAX_COORDINATE, MAX_COORDINATE)
#: Sureness of a probe without text.
NO_TEXT = float("-inf")

#: Turns to compare, by the direction of the page's lines. Upright is always among them, as the standard that
#: another turn has to exceed.
_TURNS = {
    LineDirection.ACROSS: (0, 180),
    LineDirection.DOWN: (0, 90, 270),
    LineDirection.UNCLEAR: (0, 90, 180, 270),
}


def turns_to_probe(direction: LineDirection) -> tuple[int, ...]:
    """Return the turns of which one can make the page upright, in degrees clockwise.

    :param direction: the direction of the page's lines of text.
    """
    return _TURNS[direction]


def turn_boxes_back(text: str, rotation: int) -> EditedText:
    """Return model output of a turned page with its boxes on the page as it is.

    Boxes outside of the page stay outside, inverted ones inverted.

    :param text: the output with its markup.
    :param rotation: the degrees by which the page was turned clockwise.
    """
    if not rotation:
        return EditedText(text)
    return rewrite_boxes(text, lambda box: upright_box(box, rotation, _PAGE))


def probe_image(image: Image.Image) -> Image.Image:
    """Return the part of a page with the most print, by which its turn is found.

    A part of half the page's width keeps small print readable in the cheapest mode.

    :param image: the page, in any mode that Pillow converts to grey.
    """
    shorter = min(image.size)
    side = min(shorter, max(_PROBE_SIDE, round(_PROBE_SHARE * shorter)))
    if image.size == (side, side):
        return image
    if side == 1:  # a line of single pixels has no edges to compare
        return image.crop((0, 0, 1, 1))
    step = max(1, side // _FIELDS)
    grey = np.asarray(image.convert("L").reduce(step), dtype=np.int16)
    print_there = np.abs(np.diff(grey, axis=0))[:, :-1] + np.abs(np.diff(grey, axis=1))[:-1]
    sums = np.pad((print_there > MIN_EDGE).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    rows, columns = (min(side // step, length - 1) for length in sums.shape)
    windows = (
        sums[rows:, columns:]
        - sums[:-rows, columns:]
        - sums[rows:, :-columns]
        + sums[:-rows, :-columns]
    )
    top, left = (int(place) * step for place in np.unravel_index(windows.argmax(), windows.shape))
    left, top = min(left, image.width - side), min(top, image.height - side)
    return image.crop((left, top, left + side, top + side))


def surest_turn(probes: Mapping[int, PageOutput]) -> int:
    """Return the turn of which the model is surest; 0 unless another one clearly exceeds it.

    :param probes: the outputs for a part of the page by its turn in degrees clockwise.
    """
    if any(output.error is not None for output in probes.values()):
        return 0
    sureness = {rotation: _sureness(output) for rotation, output in probes.items()}
    surest = max(sureness, key=lambda rotation: sureness[rotation])
    upright = sureness.get(0, NO_TEXT)
    least = _LEAST_SURE if upright == NO_TEXT else upright + _LEAST_GAIN
    return surest if sureness[surest] >= least else 0


def _sureness(output: PageOutput) -> float:
    """Return the mean log-probability of a probe's tokens; :data:`NO_TEXT` without text, or for a loop."""
    probabilities = output.token_probabilities
    if probabilities is None or len(probabilities.log_probabilities) < _LEAST_TOKENS:
        return NO_TEXT
    # Other flags do not count: nearly all probes end at their limit, in the middle of a table or a line.
    quality = check_quality(QualityInput(text=output.text, prompt=PROBE_PROMPT))
    if not _LOOPS.isdisjoint(quality.flags):
        return NO_TEXT
    values = probabilities.log_probabilities
    return sum(values) / len(values)

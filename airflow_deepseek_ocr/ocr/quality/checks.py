"""Is this reading degenerate? Named flags, and one score out of them.

Nothing here knows what stands on the page. A fluent text that the model invented is told apart by the page's
own text layer , or where it is said to stand where there is no
print; otherwise it looks like any other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason
from airflow_deepseek_ocr.ocr.markup.grounding import parse
from airflow_deepseek_ocr.ocr.prompts import DET_CLOSE, DET_OPEN, REF_CLOSE, REF_OPEN, get_prompt
from airflow_deepseek_ocr.ocr.quality.edge_density import EdgeDensity
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.repetition import Loop, Repetition, find_repetition
from airflow_deepseek_ocr.ocr.quality.report import QualityReport, verdict
from airflow_deepseek_ocr.ocr.quality.scripts import (
    count_mixed_words,
    count_scripts,
    is_no_character,
)
from airflow_deepseek_ocr.ocr.quality.tables import Tables, find_tables, rows_repeated_at_end
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import Agreement, check_agreement
from airflow_deepseek_ocr.ocr.quality.thresholds import THRESHOLDS, Thresholds
from airflow_deepseek_ocr.ocr.quality.words import count_printed_characters
from airflow_deepseek_ocr.ocr.results import MAX_COORDINATE, PICTURE_LABELS, Region

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class QualityInput:
    """What is judged.

    :param text: what the model wrote, with its markup.
    :param prompt: the prompt's name.
    :param finish_reason: why it stopped.
    :param vision_tokens: tokens that stood for the image.
    :param text_tokens: tokens written.
    :param ink: what is on the page; None if that is not known.
    :param scripts: the scripts on the page, if something reliable tells them.
    :param agreement: with the page's text layer, if that is sound.
    :param regions: the text's regions, if they are at hand; parsed from it otherwise.
    """

    text: str
    prompt: str
    finish_reason: FinishReason | None = FinishReason.STOP
    vision_tokens: int = 0
    text_tokens: int = 0
    edge_density: EdgeDensity | None = None
    scripts: frozenset[str] | None = None
    agreement: Agreement | None = None
    regions: Sequence[Region] | None = field(default=None, repr=False)


def check_quality(evidence: QualityInput, thresholds: Thresholds = THRESHOLDS) -> QualityReport:
    """Flags and score of a reading; whatever the text is, nothing is raised.

    :raises ConfigurationError: ``unknown_prompt``.
    """
    prompt = get_prompt(evidence.prompt)
    regions = evidence.regions
    if regions is None:
        regions = parse(evidence.text, text_in_ref=prompt.text_in_ref, width=1, height=1)
    body = "\n".join(region.text for region in regions)
    tables = find_tables(body)
    lines = _lines(tables.outside)
    flags = {
        *_of_end(evidence),
        *_of_repetition(find_repetition(lines), thresholds),
        *_of_tables(tables, thresholds),
        *_of_boxes(regions, evidence, thresholds),
        *_of_page(body, regions, evidence, thresholds),
        *_of_places(regions, evidence, thresholds),
        *_of_markup(evidence.text, body, regions, grounded=prompt.grounded),
        *_of_characters(body, evidence.scripts, thresholds),
        *_of_ratio(evidence, thresholds),
        *check_agreement(evidence.agreement, thresholds),
    }
    return verdict(flags)


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _of_end(evidence: QualityInput) -> set[Flag]:
    return {Flag.NO_END_TOKEN} if evidence.finish_reason is FinishReason.LENGTH else set()


def _of_repetition(found: Repetition, limits: Thresholds) -> set[Flag]:
    flags = set()
    counting = found.counting_loop
    if (
        _is_loop(found.loop, limits)
        or found.stutter >= limits.stutter
        or (
            counting.repeats >= limits.counting_repeats
            and counting.words_in_line > limits.cell_words
        )
    ):
        flags.add(Flag.LOOP)
    if found.same_lines >= limits.same_lines and found.repeated_lines >= limits.same_lines_least:
        flags.add(Flag.REPEATED_LINES)
    poor = found.distinct < limits.distinct and found.words >= limits.distinct_words
    if poor or found.stammer >= limits.stammer:
        flags.add(Flag.REPEATED_WORDS)
    return flags


def _is_loop(loop: Loop, limits: Thresholds) -> bool:
    if loop.words_in_line <= limits.cell_words:
        least = limits.cell_repeats
    elif loop.words_in_line <= limits.short_line_words:
        least = limits.short_line_repeats
    else:
        least = limits.loop_repeats
    return _is_long(loop, limits) and loop.repeats >= least


def _is_long(loop: Loop, limits: Thresholds) -> bool:
    return loop.words >= limits.loop_words and loop.letters >= limits.loop_letters


def _of_tables(tables: Tables, limits: Thresholds) -> set[Flag]:
    flags = set()
    if tables.ragged:
        flags.add(Flag.RAGGED_TABLE)
    if tables.broken:
        flags.add(Flag.BROKEN_TABLE)
    if rows_repeated_at_end(tables.rows) >= limits.rows_repeated:
        flags.add(Flag.REPEATED_LINES)
    cells = [cell for row in tables.rows for cell in row.split("\t") if len(cell) > _LONG_CELL]
    if any(_is_cell_loop(find_repetition([cell]), limits) for cell in cells):
        flags.add(Flag.LOOP)
    return flags


#: Characters of a cell in which a loop is looked for.
_LONG_CELL = 60


def _is_cell_loop(found: Repetition, limits: Thresholds) -> bool:
    return found.stutter >= limits.stutter or (
        _is_long(found.loop, limits) and found.loop.repeats >= limits.loop_repeats
    )


def _of_boxes(regions: Sequence[Region], evidence: QualityInput, limits: Thresholds) -> set[Flag]:
    boxes = [box.normalized for region in regions for box in region.boxes]
    if not boxes:
        return set()
    flags = set()
    outside = sum(min(box) < 0 or max(box) > MAX_COORDINATE for box in boxes)
    inverted = sum(x1 > x2 or y1 > y2 for x1, y1, x2, y2 in boxes)
    if outside / len(boxes) >= limits.boxes_wrong:
        flags.add(Flag.BOX_OUTSIDE)
    if inverted / len(boxes) >= limits.boxes_wrong:
        flags.add(Flag.BOX_INVERTED)
    commonest = Counter(boxes).most_common(1)[0][1]
    if commonest >= limits.boxes_alike_least and commonest / len(boxes) >= limits.boxes_alike:
        flags.add(Flag.BOXES_ALIKE)
    if evidence.vision_tokens and any(
        _crowding(region, evidence.vision_tokens) >= limits.crowded for region in regions
    ):
        flags.add(Flag.BOX_CROWDED)
    return flags


def _crowding(region: Region, vision_tokens: int) -> float:
    """Characters to a vision token in the region's boxes; 0 without boxes."""
    if not region.boxes:
        return 0.0
    # A box of no height has still been drawn around something.
    area = sum(
        max(1, abs(x2 - x1)) * max(1, abs(y2 - y1))
        for x1, y1, x2, y2 in (box.normalized for box in region.boxes)
    )
    return len(region.text) / (vision_tokens * area / (MAX_COORDINATE + 1) ** 2)


def _of_page(
    body: str, regions: Sequence[Region], evidence: QualityInput, limits: Thresholds
) -> set[Flag]:
    edge_density = evidence.edge_density
    if edge_density is None or not get_prompt(evidence.prompt).whole_page:
        return set()
    characters = sum(map(str.isalnum, body))
    # Letters as large as a hand have few edges in a row, but few of them fit on a page.
    most = limits.blank_characters if edge_density.edges else 0
    if edge_density.text_edges < limits.blank_strokes and characters > most:
        return {Flag.TEXT_ON_BLANK}
    pictured = any(region.label in PICTURE_LABELS for region in regions)
    if (
        edge_density.text_edges >= limits.inked_strokes
        and edge_density.text_edges >= limits.strokes_per_character * characters
        and not pictured
    ):
        return {Flag.NO_TEXT}
    return set()


def _of_places(regions: Sequence[Region], evidence: QualityInput, limits: Thresholds) -> set[Flag]:
    """Whether much of the text is said to stand where there is no print."""
    places = evidence.edge_density.edge_map if evidence.edge_density else None
    if places is None or not get_prompt(evidence.prompt).whole_page:
        return set()
    boxed = [(region, count_printed_characters(region.text)) for region in regions if region.boxes]
    all_letters = sum(letters for _, letters in boxed)
    off = sum(
        letters
        for region, letters in boxed
        if letters and _edges_in(region, places) < limits.off_print_edges * letters
    )
    return {Flag.TEXT_OFF_PRINT} if off > limits.off_print * all_letters else set()


def _edges_in(region: Region, places: np.ndarray) -> int:
    """Edges in the region's boxes, with the fields around them: boxes are not drawn to the pixel."""
    fields = len(places) / (MAX_COORDINATE + 1)
    found = 0
    for box in region.boxes:
        x1, y1, x2, y2 = (min(len(places), max(0, int(each * fields))) for each in box.normalized)
        rows = slice(max(0, min(y1, y2) - 1), max(y1, y2) + 2)
        columns = slice(max(0, min(x1, x2) - 1), max(x1, x2) + 2)
        found += int(places[rows, columns].sum())
    return found


_MARKERS = (REF_OPEN, REF_CLOSE, DET_OPEN, DET_CLOSE)
#: A marker that the end of the text cut.
_CUT_MARKER = re.compile(r"<(?:\|[/a-z]{0,5}\|?)?$|<\|/?(?:ref|det)?(?=$|[^|a-z/])")
_ENVIRONMENT = re.compile(r"\\(begin|end)\{([a-zA-Z]{1,20}\*?)\}")


def _of_markup(text: str, body: str, regions: Sequence[Region], *, grounded: bool) -> set[Flag]:
    if not grounded and any(marker in text for marker in _MARKERS):
        return {Flag.STRAY_MARKUP}
    left = any(marker in piece for piece in (body, *_labels(regions)) for marker in _MARKERS)
    if left or _CUT_MARKER.search(body) or _open_formula(body):
        return {Flag.OPEN_MARKUP}
    return set()


def _labels(regions: Sequence[Region]) -> list[str]:
    return [region.label for region in regions]


def _open_formula(body: str) -> bool:
    """Whether LaTeX's delimiters or environments do not pair."""
    body = body.replace("\\\\", "")  # a new row, which may be followed by a bracket
    if any(body.count(opens) != body.count(closes) for opens, closes in _DELIMITERS):
        return True
    count: Counter[str] = Counter()
    for kind, name in _ENVIRONMENT.findall(body):
        count[name] += 1 if kind == "begin" else -1
    return any(count.values())


#: As the published model writes formulas.
_DELIMITERS = ((r"\(", r"\)"), (r"\[", r"\]"))


def _of_characters(body: str, scripts: frozenset[str] | None, limits: Thresholds) -> set[Flag]:
    flags = set()
    none = sum(times for character, times in Counter(body).items() if is_no_character(character))
    if body and none / len(body) >= limits.no_characters:
        flags.add(Flag.NO_CHARACTERS)
    counts = count_scripts(body)
    letters = sum(counts.values())
    mixed, words = count_mixed_words(body)
    rare = [times for times in counts.values() if times < letters / 10]
    foreign = 0 if scripts is None else sum(n for s, n in counts.items() if s not in scripts)
    if (
        (words and mixed >= 2 and mixed / words >= limits.mixed_words)
        or (len(counts) >= limits.many_scripts and sum(rare) / letters >= limits.rare_letters)
        or (letters and foreign / letters >= limits.foreign_letters)
    ):
        flags.add(Flag.MIXED_SCRIPTS)
    return flags


def _of_ratio(evidence: QualityInput, limits: Thresholds) -> set[Flag]:
    if not evidence.vision_tokens:
        return set()
    ratio = evidence.text_tokens / evidence.vision_tokens
    if ratio > limits.ratio_cliff:
        return {Flag.RATIO_CLIFF}
    return {Flag.RATIO_KNEE} if ratio > limits.ratio_knee else set()

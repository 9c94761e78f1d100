"""Quality checks that need the output's text alone: repetitions, tables, markup, characters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from airflow_deepseek_ocr.ocr.markup.html_tables import HtmlTables
from airflow_deepseek_ocr.ocr.prompts import DET_CLOSE, DET_OPEN, REF_CLOSE, REF_OPEN
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.formulas import has_open_formula
from airflow_deepseek_ocr.ocr.quality.number_runs import find_number_runs
from airflow_deepseek_ocr.ocr.quality.repetition import Loop, Repetition, find_repetition
from airflow_deepseek_ocr.ocr.quality.scripts import (
    count_mixed_words,
    count_scripts,
    is_no_character,
)
from airflow_deepseek_ocr.ocr.quality.table_checks import (
    rows_in_loop_at_end,
    rows_repeated_at_end,
)
from airflow_deepseek_ocr.ocr.quality.thresholds import Thresholds
from airflow_deepseek_ocr.ocr.results import Region

#: Characters from which on a cell is searched for a loop; shorter ones cannot hold one.
_LONG_CELL = 60
_MARKERS = (REF_OPEN, REF_CLOSE, DET_OPEN, DET_CLOSE)
#: A marker that the end of the text cut off.
_CUT_MARKER = re.compile(r"<(?:\|[/a-z]{0,5}\|?)?$|<\|/?(?:ref|det)?(?=$|[^|a-z/])")


def check_repetition(text: str, thresholds: Thresholds) -> set[Flag]:
    """Return the flags of repetitions in the text outside of tables."""
    lines = [line for line in text.splitlines() if line.strip()]
    found = find_repetition(lines)
    counting = found.counting_loop
    flags = _check_numbers(lines, thresholds)
    if (
        _is_loop(found.loop, thresholds)
        or found.stutter >= thresholds.stutter
        or (
            counting.repeats >= thresholds.counting_repeats
            and counting.words_in_line > thresholds.cell_words
        )
    ):
        flags.add(Flag.LOOP)
    if (
        found.same_lines >= thresholds.same_lines
        and found.repeated_lines >= thresholds.same_lines_least
    ):
        flags.add(Flag.REPEATED_LINES)
    few_words = found.distinct < thresholds.distinct and found.words >= thresholds.distinct_words
    if few_words or found.stammer >= thresholds.stammer:
        flags.add(Flag.REPEATED_WORDS)
    return flags


def check_tables(tables: HtmlTables, thresholds: Thresholds) -> set[Flag]:
    """Return the flags of a text's tables and their cells."""
    flags = set()
    if tables.ragged:
        flags.add(Flag.RAGGED_TABLE)
    if tables.broken:
        flags.add(Flag.BROKEN_TABLE)
    if rows_repeated_at_end(tables.rows) >= thresholds.rows_repeated:
        flags.add(Flag.REPEATED_LINES)
    cells = [cell for row in tables.rows for cell in row.split("\t") if len(cell) > _LONG_CELL]
    if any(_is_cell_loop(find_repetition([cell]), thresholds) for cell in cells):
        flags.add(Flag.LOOP)
    if rows_in_loop_at_end(tables.rows) >= thresholds.cell_repeats:
        flags.add(Flag.LOOP)
    return flags | _check_numbers(tables.rows, thresholds)


def _check_numbers(lines: Sequence[str], thresholds: Thresholds) -> set[Flag]:
    """Return the flags of numbers that count on or repeat where no page does."""
    runs = find_number_runs(lines)
    flags = set()
    if (
        runs.in_line >= thresholds.numbers_in_line
        or runs.in_column >= thresholds.numbers_in_column
        or runs.in_blocks >= thresholds.numbers_in_blocks
    ):
        flags.add(Flag.LOOP)
    if runs.one_digit >= thresholds.one_digit:
        flags.add(Flag.REPEATED_WORDS)
    return flags


def check_markup(text: str, body: str, regions: Sequence[Region], *, grounded: bool) -> set[Flag]:
    """Return the flags of references, boxes and formulas.

    :param text: the output with its markup.
    :param body: the text of its regions.
    :param regions: its regions.
    :param grounded: whether the prompt asks for references.
    """
    if not grounded and any(marker in text for marker in _MARKERS):
        return {Flag.STRAY_MARKUP}
    pieces = (body, *(region.label for region in regions))
    unparsed = any(marker in piece for piece in pieces for marker in _MARKERS)
    if unparsed or _CUT_MARKER.search(body) or has_open_formula(body):
        return {Flag.OPEN_MARKUP}
    return set()


def check_characters(
    body: str, scripts: frozenset[str] | None, thresholds: Thresholds
) -> set[Flag]:
    """Return the flags of characters and writing systems.

    :param body: the text of the regions.
    :param scripts: scripts of the page, such as ``LATIN``; None if they are unknown.
    :param thresholds: the values from which the flags are raised.
    """
    flags = set()
    meaningless = sum(
        times for character, times in Counter(body).items() if is_no_character(character)
    )
    if body and meaningless / len(body) >= thresholds.no_characters:
        flags.add(Flag.NO_CHARACTERS)
    counts = count_scripts(body)
    letters = sum(counts.values())
    mixed, words = count_mixed_words(body)
    rare = [times for times in counts.values() if times < letters / 10]
    foreign = 0 if scripts is None else sum(n for s, n in counts.items() if s not in scripts)
    if (
        (words and mixed >= 2 and mixed / words >= thresholds.mixed_words)
        or (
            len(counts) >= thresholds.many_scripts
            and sum(rare) / letters >= thresholds.rare_letters
        )
        or (letters and foreign / letters >= thresholds.foreign_letters)
    ):
        flags.add(Flag.MIXED_SCRIPTS)
    return flags


def _is_loop(loop: Loop, thresholds: Thresholds) -> bool:
    if loop.words_in_line <= thresholds.cell_words:
        # A block of several lines is no column of equal cells.
        least = max(thresholds.block_repeats, thresholds.cell_repeats / max(1, loop.lines))
    elif loop.words_in_line <= thresholds.short_line_words:
        least = thresholds.short_line_repeats
    else:
        least = thresholds.loop_repeats
    return _is_long(loop, thresholds) and loop.repeats >= least


def _is_long(loop: Loop, thresholds: Thresholds) -> bool:
    return loop.words >= thresholds.loop_words and loop.letters >= thresholds.loop_letters


def _is_cell_loop(found: Repetition, thresholds: Thresholds) -> bool:
    return found.stutter >= thresholds.stutter or (
        _is_long(found.loop, thresholds) and found.loop.repeats >= thresholds.loop_repeats
    )

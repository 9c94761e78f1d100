"""Malformed outputs of a model, for a page with some text and the prompt ``markdown``."""

from __future__ import annotations

import random
from dataclasses import dataclass
from string import ascii_lowercase

from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason

_STOP, _LENGTH = FinishReason.STOP, FinishReason.LENGTH


@dataclass(frozen=True)
class Output:
    """An output of a model.

    :param text: the output.
    :param code: error code of its page; None if the output is accepted.
    :param ended: reason for its end.
    """

    text: str
    code: str | None
    ended: FinishReason = _STOP


def region(text: str, box: str = "[[10, 10, 900, 200]]", label: str = "text") -> str:
    """Return a region in the markup of the model."""
    return f"<|ref|>{label}<|/ref|><|det|>{box}<|/det|>\n{text}\n\n"


def _words(number: int) -> str:
    rng = random.Random(1)
    return " ".join(
        "".join(rng.choices(ascii_lowercase, k=rng.randint(2, 9))) for _ in range(number)
    )


_LINE = "The committee met on Tuesday and read the minutes of the last meeting."

OUTPUTS: dict[str, Output] = {
    "nothing": Output("", "no_text"),
    "only_white_space": Output(" \n\t\n" * 50, "no_text"),
    "only_an_end_token": Output("<｜end▁of▁sentence｜>", None),
    "plain_words_without_markup": Output(_LINE, None),
    "loop_to_the_limit": Output(region("the program of " * 500), "loop", _LENGTH),
    "loop_of_one_letter": Output(region("a" * 5000), "loop"),
    "cut_in_a_word": Output(region(_LINE[:40]), "no_end_token", _LENGTH),
    "cut_in_a_box": Output(region(_LINE) + "<|ref|>text<|/ref|><|det|>[[12, 3", "open_markup"),
    "reference_never_closed": Output("<|ref|>text\n" + _LINE, "open_markup"),
    "box_outside": Output(region(_LINE, "[[10, 10, 5000, 99999]]"), "box_outside"),
    "box_below_zero": Output(region(_LINE, "[[-50, -50, 100, 100]]"), "box_outside"),
    "box_inverted": Output(region(_LINE, "[[900, 900, 10, 10]]"), "box_inverted"),
    "box_of_huge_numbers": Output(region(_LINE, f"[[1, 2, {'9' * 5000}, 4]]"), "open_markup"),
    "box_of_three_numbers": Output(region(_LINE, "[[1, 2, 3]]"), "open_markup"),
    "box_of_words": Output(region(_LINE, "[[left, top, right, bottom]]"), "open_markup"),
    "table_ragged": Output(
        region("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", label="table"),
        "ragged_table",
    ),
    "table_never_closed": Output(
        region("<table><tr><td>a</td><td>b", label="table"), "broken_table"
    ),
    "tables_nested_a_thousand_deep": Output(
        region("<table><tr><td>" * 1000, label="table"), "box_crowded"
    ),
    "table_of_a_billion_columns": Output(
        region('<table><tr><td colspan="1000000000">a</td></tr></table>', label="table"), None
    ),
    "formula_never_closed": Output(region(r"\[ \begin{matrix} a & b \\ c"), "open_markup"),
    "nul_characters": Output(region("\0" * 40 + _LINE), "no_characters"),
    "half_of_a_surrogate_pair": Output(region("\ud800" * 40 + _LINE), "no_characters"),
    "private_use": Output(region("\ue000\uf8ff" * 40), "no_text"),
    "accents_upon_accents": Output(region("e" + "\u0301" * 2000), "no_text"),
    "right_to_left_override": Output(region("\u202e" + _LINE), None),
    "script_of_a_browser": Output(region("<script>alert(1)</script> " + _LINE), None),
    "statement_of_a_database": Output(region("'); DROP TABLE ocr_pages; --"), None),
    "path_to_somewhere": Output(region("![](../../../../etc/passwd)"), None),
    "label_of_its_own": Output(region(_LINE, label="x" * 3000), None),
    "megabyte_of_words": Output(region(_words(100_000)), "box_crowded"),
}

"""Other coordinates in model output, and where they were written."""

from __future__ import annotations

from airflow_deepseek_ocr.ocr.markup.box_rewriting import Edit, rewrite_boxes
from airflow_deepseek_ocr.ocr.markup.grounding import Corners

TEXT = "[1, 2, 3, 4] <|ref|>a<|/ref|><|det|>[[1,2,3,4], [5, 6, 7, 8]]<|/det|>\nb"


def _turned(box: Corners) -> Corners:
    x1, y1, x2, y2 = box
    return 999 - y2, x1, 999 - y1, x2


def test_boxes_get_other_coordinates() -> None:
    edited = rewrite_boxes(TEXT, _turned)
    assert edited.text == (
        "[1, 2, 3, 4] <|ref|>a<|/ref|><|det|>[[995, 1, 997, 3], [991, 5, 993, 7]]<|/det|>\nb"
    )


def test_edits_name_what_was_replaced() -> None:
    edited = rewrite_boxes(TEXT, _turned)
    assert [TEXT[each.start : each.end] for each in edited.edits] == ["[1,2,3,4]", "[5, 6, 7, 8]"]
    text, shift = TEXT, 0
    for each in edited.edits:
        new = edited.text[each.start + shift : each.start + shift + each.length]
        text = text[: each.start + shift] + new + text[each.end + shift :]
        shift += each.length - (each.end - each.start)
    assert text == edited.text


def test_text_without_boxes_of_a_reference_is_unchanged() -> None:
    for text in ("", "[1, 2, 3, 4]", "<|det|>[[1, 2, 3", "<|det|>none<|/det|>"):
        edited = rewrite_boxes(text, _turned)
        assert (edited.text, edited.edits) == (text, ())
    fractions = rewrite_boxes("<|det|>[[0.5, 0, 1, 1]]<|/det|>", lambda box: box)
    assert fractions.text == "<|det|>[[500, 0, 999, 999]]<|/det|>"
    assert fractions.edits == (Edit(8, 22, len("[500, 0, 999, 999]")),)

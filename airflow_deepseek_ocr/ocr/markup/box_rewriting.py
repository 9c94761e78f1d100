"""Model output with other coordinates in its boxes, and the parts that were replaced."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from airflow_deepseek_ocr.ocr.markup.grounding import BOX, Corners, coordinates
from airflow_deepseek_ocr.ocr.prompts import DET_CLOSE, DET_OPEN

#: The boxes of a reference. The bounded length keeps the time linear where the closing marker is missing.
_BOXES = re.compile(re.escape(DET_OPEN) + r"[\s\[\],\d.+eE-]{0,20000}" + re.escape(DET_CLOSE))


@dataclass(frozen=True)
class Edit:
    """A replaced part of a text.

    :param start: first character of the part in the text before.
    :param end: the character after it in the text before.
    :param length: number of characters in its place.
    """

    start: int
    end: int
    length: int


@dataclass(frozen=True)
class EditedText:
    """A text and how it differs from the text before.

    :param text: the text.
    :param edits: the replaced parts, in order, without overlap.
    """

    text: str
    edits: tuple[Edit, ...] = ()


def rewrite_boxes(text: str, convert: Callable[[Corners], Corners]) -> EditedText:
    """Return the text with other coordinates in its boxes.

    :param text: model output with its markup.
    :param convert: returns the new coordinates of a box, 0 to 999.
    """
    pieces, edits, done = [], [], 0
    for boxes in _BOXES.finditer(text):
        for box in BOX.finditer(text, *boxes.span()):
            x1, y1, x2, y2 = convert(coordinates(box))
            written = f"[{x1}, {y1}, {x2}, {y2}]"
            pieces += [text[done : box.start()], written]
            edits.append(Edit(*box.span(), len(written)))
            done = box.end()
    pieces.append(text[done:])
    return EditedText("".join(pieces), tuple(edits))

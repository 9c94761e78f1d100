"""Pages as a perfect reader writes them, in the published output format."""

# Templates of texts are longer than lines of code.

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

Block = tuple[str, str]

_TAG = re.compile(r"</?t[a-z]+[^<>]*>")


def html(rows: Sequence[Sequence[str]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{body}</table>"


def answer(rng: random.Random, blocks: Sequence[Block], prompt: str) -> str:
    """The blocks in the published output format, one below the other."""
    if prompt == "free":
        return "\n".join(text for _, text in blocks if text)
    top, pieces = rng.randint(10, 60), []
    room = (980 - top) / max(1, sum(_height(text) for _, text in blocks))
    for label, text in blocks:
        bottom = top + max(3, round(_height(text) * room))
        left, right = rng.randint(20, 120), rng.randint(700, 980)
        if prompt == "markdown":
            pieces.append(f"{_grounded(label, (left, top, right, min(999, bottom - 2)))}\n{text}\n")
        else:
            pieces += _lines_of(text, left, top, right, bottom)
        top = bottom
    return "\n".join(pieces)


def _lines_of(text: str, left: int, top: int, right: int, bottom: int) -> Iterator[str]:
    rows = [
        [cell for cell in row.split("\t") if cell]
        for row in text.replace("</td>", "\t").replace("</tr>", "\n").splitlines()
    ]
    rows = [[_without_tags(cell) for cell in row] for row in rows]
    rows = [[cell for cell in row if cell.strip()] for row in rows]
    step = (bottom - top) / max(1, len(rows))
    for number, row in enumerate(rows):
        y1, width = round(top + number * step), (right - left) / max(1, len(row))
        for column, cell in enumerate(row):
            x1 = round(left + column * width)
            box = (x1, y1, round(x1 + 0.9 * width), max(y1 + 1, round(y1 + 0.8 * step)))
            yield _grounded(cell.lstrip("# "), tuple(min(999, each) for each in box))


def _without_tags(cell: str) -> str:
    return _TAG.sub("", cell)


def _height(text: str) -> int:
    return 2 + max(text.count("\n") + len(text) // 90, text.count("<tr>") * 2)


def _grounded(reference: str, box: tuple[int, ...]) -> str:
    return f"<|ref|>{reference}<|/ref|><|det|>[{list(box)}]<|/det|>"

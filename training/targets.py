"""What a perfect reader answers to each prompt about a page, in the published output format."""

from __future__ import annotations

import random
from collections import Counter

from airflow_deepseek_ocr.ocr.prompts import DET_CLOSE, DET_OPEN, PROMPTS, REF_CLOSE, REF_OPEN
from airflow_deepseek_ocr.ocr.results import MAX_COORDINATE
from training.page import Block, Line, Page, PixelBox

#: How a page's kind is called in a description.
_KIND_PHRASES = {
    "invoice": "an invoice",
    "receipt": "a receipt",
    "letter": "a letter",
    "form": "a form",
    "report": "a report",
    "two_columns": "a page in two columns",
    "table": "a table",
    "list": "a list",
    "notes": "notes",
    "card": "a card",
    "blank": "an empty page",
    "picture": "a picture without text",
    "chart": "a chart",
}
_HEADINGS = {"title": "# ", "sub_title": "## "}
#: Share of each prompt among those asked about a page.
_WEIGHTS = {
    "free": 0.29,
    "markdown": 0.33,
    "ocr": 0.18,
    "locate": 0.13,
    "describe": 0.04,
    "figure": 0.03,
}


def choose_prompt(rng: random.Random, page: Page, allowed: tuple[str, ...]) -> str:
    """A prompt worth asking about that page, such as ``markdown`` or ``locate:Total``.

    :param allowed: names of prompts to choose from.
    """
    if page.chart and "figure" in allowed and rng.random() < 0.4:
        return "figure"
    name = rng.choices(allowed, [_WEIGHTS[each] for each in allowed])[0]
    if name != "locate":
        return name
    once = [line.text for line in _unique_lines(page)]
    return f"locate:{rng.choice(once)}" if once else "describe"


def target(page: Page, prompt: str) -> str:
    """The answer to a prompt.

    :param prompt: a prompt's name, with the text for ``locate:TEXT``.
    """
    name, _, text = prompt.partition(":")
    if name == "free":
        return "\n".join(filter(None, map(_plain, page.blocks)))
    if name == "markdown":
        return "\n".join(_grounded_block(block, page) for block in page.blocks)
    if name == "ocr":
        return "\n".join(_grounded(line.text, line.box, page) for line in _lines(page))
    if name == "locate":
        (line,) = (line for line in _unique_lines(page) if line.text == text)
        return _grounded(line.text, line.box, page)
    if name == "describe":
        return _description(page)
    if name == "figure":
        return _html(page.chart) if page.chart else _first_table(page)
    raise ValueError(f"no prompt {name!r}; there are {', '.join(PROMPTS)}")


def _lines(page: Page) -> list[Line]:
    return [line for block in page.blocks for line in block.lines]


def _unique_lines(page: Page) -> list[Line]:
    """Lines that can be asked for: short enough for a prompt, and nowhere else on the page."""
    lines = _lines(page)
    counts = Counter(line.text for line in lines)
    everything = "\n".join(line.text for line in lines)
    return [
        line
        for line in lines
        if counts[line.text] == 1 and 3 <= len(line.text) <= 60 and everything.count(line.text) == 1
    ]


def _plain(block: Block) -> str:
    return _html(block.cells) if block.cells else "\n".join(line.text for line in block.lines)


def _grounded_block(block: Block, page: Page) -> str:
    body = _html(block.cells) if block.cells else block.text
    body = _HEADINGS.get(block.label, "") + body
    return f"{_grounded(block.label, block.box, page)}\n{body}\n"


def _grounded(text: str, box: PixelBox, page: Page) -> str:
    numbers = ", ".join(
        str(min(MAX_COORDINATE, max(0, round(value / size * MAX_COORDINATE))))
        for value, size in zip(box, page.image.size * 2, strict=True)
    )
    return f"{REF_OPEN}{text}{REF_CLOSE}{DET_OPEN}[[{numbers}]]{DET_CLOSE}"


def _html(rows: tuple[tuple[str, ...], ...]) -> str:
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"


def _first_table(page: Page) -> str:
    return next((_html(block.cells) for block in page.blocks if block.cells), "")


def _description(page: Page) -> str:
    sentences = [f"The image shows {_KIND_PHRASES[page.kind]}."]
    sentences += [
        f"Its title is “{block.text}”." for block in page.blocks if block.label == "title"
    ]
    sentences += [
        f"It has a table of {len(block.cells)} rows and {len(block.cells[0])} columns."
        for block in page.blocks
        if block.cells
    ]
    return " ".join(sentences)

"""Pages to be read, drawn by us, and how long their texts are."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw

from airflow_deepseek_ocr.engines.embedding import PreparedPage
from airflow_deepseek_ocr.engines.transformers_engine import TransformersEngine
from airflow_deepseek_ocr.ocr.engine import PageRequest

#: An A4 page at 150 dots an inch, in pixels: 2 x 3 tiles in gundam mode.
PAGE = (1240, 1754)
SHORTEST, LONGEST, MEAN = 100, 2000, 800
#: Tokens of such a page's prompt in gundam mode.
GUNDAM_PROMPT = 910


def draw_pages(count: int) -> list[Image.Image]:
    """Pages full of print, each another."""
    chance, pages = random.Random(0), []
    for _ in range(count):
        page = Image.new("RGB", PAGE, "white")
        pen = ImageDraw.Draw(page)
        for row in range(60):
            words = ("".join(chance.choices("abcdefghijklmnopqrst", k=8)) for _ in range(9))
            pen.text((90, 80 + row * 27), " ".join(words), fill="black", font_size=20)
        pages.append(page)
    return pages


def lengths(count: int) -> list[int]:
    """Tokens of pages, spread from 100 to 2,000 like real pages', 800 on average."""
    chance = random.Random(1)
    share = (MEAN - SHORTEST) / (LONGEST - SHORTEST)
    spread = 4.75  # of the beta distribution: many pages about the mean, few very long
    return [
        round(
            SHORTEST
            + (LONGEST - SHORTEST) * chance.betavariate(spread * share, spread * (1 - share))
        )
        for _ in range(count)
    ]


def requests(count: int, mode: str, texts: Sequence[int]) -> Iterator[PageRequest]:
    """Requests for pages of these lengths."""
    pages = draw_pages(min(count, 16))
    for number in range(count):
        yield PageRequest(
            number, pages[number % len(pages)], "markdown", mode, max_output_length=texts[number]
        )


def prepared(engine: TransformersEngine, mode: str, count: int) -> list[PreparedPage]:
    """Pages of one mode, ready for the vision tower."""
    made = [engine._prepare(each) for each in requests(count, mode, [MEAN] * count)]
    return [page for page in made if isinstance(page, PreparedPage)]

"""Pages to be read, drawn by us, and how long their texts are."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.in_process.page_embedding import PreparedPage
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest

#: An A4 page at 150 dots an inch, in pixels: 2 x 3 tiles in gundam mode.
PAGE = (1240, 1754)
_WORDS = """
account address amount approved balance because before between building business certain children
company contract country customer date delivery different discount document during evening every
example family following general government important increase interest invoice large letter little
market material matter meeting member minister moment money month morning nothing number office order
other paid people percent period person place please point possible present price problem product
public question quantity rather reason receipt report result school second service several should
simple social something south special state still street summer supply system table telephone their
thing think thousand three through today together total town travel under united value village water
week which without work world would write year young
"""
SHORTEST, LONGEST, MEAN = 100, 2000, 800
#: Tokens of such a page's prompt in gundam mode.
GUNDAM_PROMPT = 910


#: Standard deviation of a scanner's noise, of 255.
_GRAIN = 8.0


def draw_pages(count: int, words: int = 9, *, scanned: bool = False) -> list[Image.Image]:
    """Pages full of print, each another.

    :param count: how many.
    :param words: on each line.
    :param scanned: in colour and with grain, so that they can hardly be compressed.
    """
    chance, pages, vocabulary = random.Random(0), [], _WORDS.split()
    for _ in range(count):
        page = Image.new("RGB", PAGE, "white")
        pen = ImageDraw.Draw(page)
        for row in range(52):
            line = " ".join(chance.choices(vocabulary, k=words))
            pen.text((90, 80 + row * 31), line, fill="black", font_size=22)
        pages.append(_with_grain(page, len(pages)) if scanned else page)
    return pages


def _with_grain(page: Image.Image, seed: int) -> Image.Image:
    pixels = np.asarray(page, dtype=np.float32)
    grain = np.random.default_rng(seed).normal(0, _GRAIN, pixels.shape)
    return Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8))


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


def requests(
    count: int, mode: str, texts: Sequence[int], *, scanned: bool = False
) -> Iterator[PageRequest]:
    """Requests for pages of these lengths; see :func:`draw_pages`."""
    pages = draw_pages(min(count, 16), scanned=scanned)
    for number in range(count):
        yield PageRequest(
            key=number,
            image=pages[number % len(pages)],
            prompt="markdown",
            resolution=mode,
            max_output_length=texts[number],
        )


def prepared(engine: InProcessEngine, mode: str, count: int) -> list[PreparedPage]:
    """Pages of one mode, ready for the vision tower."""
    made = [engine.prepare(each) for each in requests(count, mode, [MEAN] * count)]
    return [page for page in made if isinstance(page, PreparedPage)]

"""Synthetic pages of several kinds of documents."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from training.canvas import Canvas
from training.layouts import business, documents, people
from training.layouts.blocks import paragraph
from training.layouts.sheet import Column, Sheet, Style
from training.page import Page
from training.text import Writer
from training.wording import PeopleWriter

if TYPE_CHECKING:
    from training.assets import Typeface

#: Families that people's programs choose by themselves or that most documents are set in.
COMMON_FAMILIES = frozenset(
    {
        *("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "LiberationSans", "LiberationSerif"),
        *("LiberationMono", "NotoSans", "NotoSerif", "NotoSansMono", "LMRoman", "LMSans"),
        *("NimbusSans", "NimbusRoman", "NimbusMono", "OpenSans", "Roboto", "Inter", "Go"),
        *("CourierPrime", "P052", "C059", "URWBookman", "URWGothic"),
    }
)

#: The kinds of pages and how often they come in training, relative to each other: those that are hard to
#: read, columns above all, more often than people have them.
KINDS: dict[str, float] = {
    "notes": 20.0,
    "report": 18.0,
    "two_columns": 12.0,
    "invoice": 9.0,
    "table": 9.0,
    "form": 9.0,
    "letter": 8.0,
    "receipt": 5.0,
    "list": 5.0,
    "card": 3.0,
    "chart": 3.0,
    "blank": 1.5,
    "picture": 1.5,
}

_DRAW: dict[str, Callable[[Sheet, Column], None]] = {
    "notes": documents.notes,
    "report": documents.report,
    "invoice": business.invoice,
    "table": documents.table,
    "receipt": business.receipt,
    "letter": business.letter,
    "form": business.form,
    "two_columns": documents.two_columns,
    "list": documents.list_page,
    "card": documents.card,
    "chart": documents.chart,
    "blank": documents.blank,
    "picture": documents.picture,
}


@dataclass(frozen=True)
class PageAssets:
    """What pages are made of; a worker process makes it once.

    :param typefaces: the fonts.
    :param words: English words.
    :param accented: words with accents.
    :param sentences: whole sentences.
    """

    typefaces: Sequence[Typeface]
    words: Sequence[str]
    accented: Sequence[str]
    sentences: Sequence[str]


def draw_page(
    rng: Random,
    assets: PageAssets,
    *,
    width: int,
    height: int,
    text_size: tuple[float, float],
    max_characters: int,
    kind: str | None = None,
    scale: float = 1.0,
    as_people: bool = False,
) -> Page:
    """Draw a page; the same generator's state gives the same page.

    :param rng: the only source of chance.
    :param assets: fonts and texts.
    :param width: the page's width in pixels, before ``scale``.
    :param height: its height in pixels, before ``scale``.
    :param text_size: the smallest and the largest font size of body text in pixels, before
        ``scale``; no print is smaller.
    :param max_characters: the most characters that are printed, spaces included.
    :param kind: one of :data:`KINDS`; without one, any by its weight.
    :param scale: how much larger everything is drawn, since some pages are shrunk afterwards.
    :param as_people: a page as people's programs set it, of one of :data:`training.layouts.people.KINDS`.
    :return: the page, in pixels of its larger picture.
    """
    if as_people:
        return _people_page(rng, assets, width, height, text_size, max_characters, kind, scale)
    kind = kind or rng.choices(list(KINDS), list(KINDS.values()))[0]
    style = _style(rng, assets, kind, (text_size[0] * scale, text_size[1] * scale), scale)
    # No budget is too small for a word.
    budget = max(min(8, max_characters), round(max_characters * rng.uniform(0.1, 1.0)))
    canvas = Canvas(round(width * scale), round(height * scale), style.paper, budget)
    writer = Writer(rng, assets.words, assets.accented, assets.sentences)
    sheet = Sheet(rng, canvas, style, writer)
    column = _margins(sheet)
    if kind not in ("blank", "picture") and sheet.chance(0.05):
        _watermark(sheet)
    _DRAW[kind](sheet, column)
    if kind != "blank":
        _never_empty(sheet)
    return Page(canvas.image, kind, tuple(canvas.blocks), canvas.glyphs, sheet.chart)


def _people_page(
    rng: Random,
    assets: PageAssets,
    width: int,
    height: int,
    text_size: tuple[float, float],
    max_characters: int,
    kind: str | None,
    scale: float,
) -> Page:
    weights = {name: weight for name, (weight, _) in people.KINDS.items()}
    kind = kind or rng.choices(list(weights), list(weights.values()))[0]
    style = _people_style(rng, assets, kind, (text_size[0] * scale, text_size[1] * scale), scale)
    # More full pages than half empty ones.
    budget = max(8, round(max_characters * max(rng.uniform(0.1, 1.0), rng.uniform(0.1, 1.0))))
    canvas = Canvas(round(width * scale), round(height * scale), style.paper, budget)
    # Fonts of one width have such signs, but programs do not use them there.
    fixed = "Mono" in style.typeface.family or "Courier" in style.typeface.family
    canvas.joins_letters = not fixed and rng.random() < 0.5
    writer = PeopleWriter(rng, assets.words, assets.accented, assets.sentences)
    sheet = Sheet(rng, canvas, style, writer)
    side, top = rng.uniform(0.05, 0.15) * canvas.width, rng.uniform(0.03, 0.12) * canvas.height
    column = Column(side, canvas.width - side, top, canvas.height * rng.uniform(0.9, 0.96))
    people.KINDS[kind][1](sheet, column)
    _never_empty(sheet)
    return Page(canvas.image, kind, tuple(canvas.blocks), canvas.glyphs, sheet.chart)


def _people_style(
    rng: Random, assets: PageAssets, kind: str, sizes: tuple[float, float], scale: float
) -> Style:
    common = [face for face in assets.typefaces if face.family in COMMON_FAMILIES]
    typefaces = common if common and rng.random() < 0.65 else assets.typefaces
    if kind == "receipt" and rng.random() < 0.6:
        typefaces = [face for face in typefaces if "Mono" in face.family] or typefaces
    smallest = math.ceil(sizes[0])
    paper = 255 if rng.random() < 0.7 else rng.randint(225, 254)
    return Style(
        typeface=rng.choice(typefaces),
        size=max(smallest, round(math.exp(rng.uniform(*map(math.log, sizes))))),
        smallest=smallest,
        pitch=rng.uniform(1.08, 1.35) if rng.random() < 0.75 else rng.uniform(1.35, 1.7),
        gap=rng.uniform(0.5, 1.3),
        ink=rng.randint(0, 30) if rng.random() < 0.85 else rng.randint(30, 100),
        paper=paper,
        stroke=max(1, round(scale * rng.choice((1, 1, 1, 2)))),
        justified=rng.random() < 0.35,
    )


def _never_empty(sheet: Sheet) -> None:
    """Print a word where the budget or the page was too small for what the kind has."""
    for _ in range(30):
        if sheet.canvas.blocks:
            break
        paragraph(sheet, _margins(sheet), sheet.writer.word())


def _style(
    rng: Random, assets: PageAssets, kind: str, sizes: tuple[float, float], scale: float
) -> Style:
    smallest = math.ceil(sizes[0])
    typefaces = assets.typefaces
    if kind == "receipt" and rng.random() < 0.6:
        typefaces = [face for face in typefaces if "Mono" in face.family] or typefaces
    low, high = math.log(sizes[0]), math.log(sizes[1])
    if kind == "card":
        low = (low + high) / 2
    paper = rng.randint(236, 255) if rng.random() < 0.8 else rng.randint(200, 236)
    return Style(
        typeface=rng.choice(typefaces),
        size=max(smallest, round(math.exp(rng.uniform(low, high)))),
        smallest=smallest,
        pitch=rng.uniform(1.15, 1.5) if rng.random() < 0.8 else rng.uniform(1.5, 1.9),
        gap=rng.uniform(0.55, 1.6),
        ink=min(rng.randint(0, 60) if rng.random() < 0.8 else rng.randint(60, 110), paper - 110),
        paper=paper,
        stroke=max(1, round(scale * rng.choice((1, 1, 1, 2)))),
    )


def _margins(sheet: Sheet) -> Column:
    """Give the page's body: margins of several widths, the text at times further down."""
    rng, canvas = sheet.rng, sheet.canvas
    edge = max(4.0, 0.02 * canvas.width, 0.4 * sheet.style.size)
    left = edge + rng.uniform(0.0, 0.08) * canvas.width
    right = canvas.width - edge - rng.uniform(0.0, 0.08) * canvas.width
    top = edge + rng.uniform(0.0, 0.08) * canvas.height
    if sheet.chance(0.15):
        top += rng.uniform(0.0, 0.3) * canvas.height
    bottom = canvas.height - edge - rng.uniform(0.0, 0.06) * canvas.height
    return Column(left, right, top, bottom)


def _watermark(sheet: Sheet) -> None:
    """Draw light lines or rings that print goes over."""
    rng, canvas = sheet.rng, sheet.canvas
    grey = sheet.style.paper - rng.randint(6, 22)
    for _ in range(rng.randint(1, 6)):
        x1, y1 = rng.randrange(canvas.width), rng.randrange(canvas.height)
        x2, y2 = rng.randrange(canvas.width), rng.randrange(canvas.height)
        if sheet.chance(0.5):
            canvas.draw.line((x1, y1, x2, y2), grey, rng.randint(1, 8))
        else:
            place = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
            canvas.draw.ellipse(place, outline=grey, width=rng.randint(1, 8))

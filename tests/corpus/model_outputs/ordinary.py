"""Ordinary letters, invoices and receipts in common fonts, with their text.

They are what people scan: A4 at 144 dpi, print of 9 to 12 points. In small mode the small checkpoint cannot
read most of them and writes fluent nonsense. It reads the same kinds well with few words in large print, so
that pages on both sides of a threshold look alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tests.corpus.model_outputs.phrases import ITEMS, MONTHS, NAMES, amount_of_money, sentences_of

#: A4 at 144 dpi, as the package renders PDFs by default.
WIDTH, HEIGHT, DPI = 1190, 1684, 144
_MARGIN = 110
#: Fonts of Debian's fonts-dejavu-core and fonts-liberation, metric twins of Arial, Times and Courier.
_FONTS = (
    "dejavu/DejaVuSans", "dejavu/DejaVuSerif", "liberation/LiberationSans-Regular",
    "liberation/LiberationSerif-Regular", "liberation/LiberationMono-Regular", "dejavu/DejaVuSansMono",
)  # fmt: skip
_DIRECTORY = Path("/usr/share/fonts/truetype")
_STREETS = ("Garden Street", "Mill Lane", "High Road", "Station Road", "Church Hill", "Park Avenue")
_TOWNS = ("Springfield", "Bergen", "Lyon", "Berlin", "Porto", "Leeds")
_SHOPS = (
    "Corner Shop",
    "City Market",
    "Green Grocer",
    "Bakery Miller",
    "Book Store",
    "Hardware Ltd",
)


@dataclass(frozen=True)
class OrdinaryPage:
    """A page and its text.

    :param name: kind, font, size in points, and number.
    :param image: 8-bit grey, the size of A4 at 144 dpi or of a square receipt.
    :param text: the text that it shows, line by line.
    """

    name: str
    image: Image.Image
    text: str


def ordinary_pages(count: int, seed: int = 0) -> list[OrdinaryPage]:
    """Return pages of all kinds and fonts at 9 to 12 points."""
    return [_page(number, seed, points=(9, 10, 11, 12)[number // 3 % 4]) for number in range(count)]


def medium_pages(count: int, seed: int = 0) -> list[OrdinaryPage]:
    """Return pages of the same kinds in print of 14 to 24 points, which are read in part."""
    sizes = (14, 16, 18, 20, 22, 24)
    return [
        _page(number, seed, points=sizes[number // 3 % 6], most_lines=18) for number in range(count)
    ]


def large_pages(count: int, seed: int = 0) -> list[OrdinaryPage]:
    """Return pages of the same kinds with few lines in print of 28 to 40 points."""
    sizes = (28, 32, 36, 40)
    return [
        _page(number, seed, points=sizes[number // 3 % 4], most_lines=9) for number in range(count)
    ]


def _page(number: int, seed: int, *, points: int, most_lines: int = 60) -> OrdinaryPage:
    rng = random.Random(f"{seed}/{number}/{points}")
    kind, write = list(_KINDS.items())[number % len(_KINDS)]
    face = _FONTS[number % len(_FONTS)]
    font = ImageFont.truetype(str(_DIRECTORY / f"{face}.ttf"), round(points * DPI / 72))
    room = min(most_lines, int((HEIGHT - 2 * _MARGIN) / (1.35 * points * DPI / 72)))
    columns = int((WIDTH - 2 * _MARGIN) / font.getlength("n"))
    lines = write(rng, columns, room)[:room]
    image = Image.new("L", (WIDTH, HEIGHT), rng.choice((255, 255, 250, 244)))
    draw, top = ImageDraw.Draw(image), _MARGIN
    for line in lines:
        draw.text((_MARGIN, top), line, rng.choice((0, 0, 20)), font=font)
        top += round(1.35 * points * DPI / 72)
    text = "\n".join(line for line in lines if line)
    return OrdinaryPage(f"{kind}, {face.split('/')[1]}, {points} pt, {number}", image, text)


def _letter(rng: random.Random, columns: int, room: int) -> list[str]:
    lines = [*_address(rng), "", _date(rng), "", f"Dear {rng.choice(NAMES)},", ""]
    if room < 12:
        lines = [f"Dear {rng.choice(NAMES)},"]
    while len(lines) < room - 3:
        lines += [*_wrapped(" ".join(sentences_of(rng, "english", rng.randint(1, 4))), columns), ""]
    return [
        *lines[: room - 3],
        "",
        "Yours sincerely,",
        f"{rng.choice('ABCDEFG')}. {rng.choice(NAMES)}",
    ]


def _invoice(rng: random.Random, columns: int, room: int) -> list[str]:
    lines = [f"Invoice {rng.randint(1000, 99999)}", _date(rng), ""]
    if room >= 12:
        lines = [*_address(rng), "", *lines, f"Customer {rng.randint(100, 9999)}", ""]
    for position in range(1, max(2, min(room - len(lines) - 3, rng.randint(10, 30)))):
        item = f"{position}  {rng.choice(ITEMS)}"
        cost = f"{rng.randint(1, 40)} x {amount_of_money(rng)}"
        lines.append(f"{item}  {cost}"[:columns])
    return [*lines, "", f"Total {amount_of_money(rng)} EUR"]


def _receipt(rng: random.Random, columns: int, room: int) -> list[str]:
    lines = [rng.choice(_SHOPS), f"{_date(rng)}  {rng.randint(8, 20)}:{rng.randint(10, 59)}", ""]
    lines += [
        f"{rng.choice(ITEMS)}  {amount_of_money(rng)}"[:columns]
        for _ in range(max(2, min(room - 6, rng.randint(8, 28))))
    ]
    return [*lines, "", f"Total  {amount_of_money(rng)}", "Thank you"]


_KINDS: dict[str, Callable[[random.Random, int, int], list[str]]] = {
    "letter": _letter,
    "invoice": _invoice,
    "receipt": _receipt,
}


def _address(rng: random.Random) -> list[str]:
    return [
        f"{rng.choice('ABCDEFG')}. {rng.choice(NAMES)}",
        f"{rng.randint(1, 99)} {rng.choice(_STREETS)}",
        f"{rng.randint(10000, 99999)} {rng.choice(_TOWNS)}",
    ]


def _date(rng: random.Random) -> str:
    return f"{rng.choice(MONTHS)} {rng.randint(1, 28)}, {rng.randint(2015, 2026)}"


def _wrapped(text: str, columns: int) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > columns:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line]

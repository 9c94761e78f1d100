"""Documents whose pages say who they are, in black and white, so that nothing can be mixed up unseen."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass

import pikepdf
from PIL import Image

#: A page is three rows (document, version, page) of squares, one a bit, of this many pixels at 72 dpi.
CELL, BITS = 6, 16
DPI = 72
#: Bytes of noise in each file: enough for a connection to break in the middle of it.
PADDING = 60_000


#: Fine lines beside the squares' middles: text that is read from a page without print is refused.
_HATCHING = [
    f"{column * CELL + x} 0 0.4 {3 * CELL} re f" for column in range(BITS) for x in (0.6, 5.0)
]


@dataclass(frozen=True, order=True)
class PageId:
    """Which page of which version of which document."""

    document: int
    version: int
    page: int

    def text(self) -> str:
        """What the scripted engine reads on it: a title and some lines, each with its box."""
        parts = [f"<|ref|>title<|/ref|><|det|>[[10, 20, 900, 60]]<|/det|>\n# {self.name}"]
        parts += [
            f"<|ref|>text<|/ref|><|det|>[[10, {100 * line}, 900, {100 * line + 60}]]<|/det|>\n"
            f"Paragraph {line} of {self.name} tells one thing."
            for line in range(1, self.regions)
        ]
        return "\n\n".join(parts)

    @property
    def name(self) -> str:
        """In words."""
        return f"document {self.document}, version {self.version}, page {self.page}"

    @property
    def regions(self) -> int:
        """How many regions it has."""
        return 1 + (self.document + self.page) % 4


def make_pdf(document: int, version: int, pages: int) -> bytes:
    """A PDF of pages that carry their ids."""
    with pikepdf.new() as pdf:
        for page in range(1, pages + 1):
            pdf.add_blank_page(page_size=(CELL * BITS, CELL * 3))
            squares = [
                f"{column * CELL} {(2 - row) * CELL} {CELL} {CELL} re f"
                for row, number in enumerate((document, version, page))
                for column in range(BITS)
                if number >> column & 1
            ]
            pdf.pages[-1].Contents = pdf.make_stream("\n".join(squares + _HATCHING).encode())
        noise = random.Random(f"{document} {version}").randbytes(PADDING)
        pdf.Root.Noise = pdf.make_stream(noise)
        buffer = io.BytesIO()
        pdf.save(buffer, deterministic_id=True)
    return buffer.getvalue()


def page_id(image: Image.Image) -> PageId:
    """Whose image that is, at any resolution."""
    gray, cell = image.convert("L"), image.width / BITS

    def number(row: int) -> int:
        middle = int((row + 0.5) * cell)
        values = (gray.getpixel((int((bit + 0.5) * cell), middle)) for bit in range(BITS))
        return sum((value < 128) << bit for bit, value in enumerate(values))

    return PageId(number(0), number(1), number(2))

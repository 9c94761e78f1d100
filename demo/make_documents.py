"""Draw the sample documents of the demo: a PDF invoice, a two-page TIFF letter, a PNG table.

usage: python demo/make_documents.py [DIRECTORY]

The files are committed; this script reproduces them. It needs reportlab and the fonts of
Debian's package fonts-dejavu-core. Each document's text is written to ``../texts/NAME.txt``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

FONTS = Path("/usr/share/fonts/truetype/dejavu")
REGULAR, BOLD = FONTS / "DejaVuSans.ttf", FONTS / "DejaVuSans-Bold.ttf"
#: Side of the pages, in points for the PDF and in pixels for the images.
SIDE = 640
MARGIN, LINE, ROW = 40, 34, 40

INVOICE = (
    "Invoice INV-2041",
    ("Date: March 14, 2026", "Name: Harbor Coffee", "Due: April 13, 2026"),
    (
        ("Name", "Unit", "Amount"),
        ("Paper", "12", "48.00"),
        ("Glass", "3", "61.50"),
        ("Water", "20", "15.20"),
    ),
    ("Total: $124.70", "Paid: 0%", "Terms: 30 days"),
)

LETTER = (
    (
        "Dear reader",
        (
            "We have found your order.",
            "It will come on May 21, 2026.",
            "The price is $89.50 with tax.",
            "Please write to us before then",
            "if the house number is wrong.",
        ),
    ),
    (
        "Your order",
        (
            "Order: PO-77120",
            "Item: garden table",
            "Total: $89.50",
            "Thank you and see you soon.",
        ),
    ),
)

TABLE = (
    ("Month", "Pages", "Cost"),
    ("January", "1204", "60.20"),
    ("February", "998", "49.90"),
    ("March", "1530", "76.50"),
    ("April", "871", "43.55"),
)


def html(rows: Sequence[Sequence[str]]) -> str:
    """Return the table in the HTML that the model writes."""
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"


def invoice(path: Path) -> str:
    """Write a PDF with a text layer and return its text."""
    pdfmetrics.registerFont(TTFont("regular", REGULAR))
    pdfmetrics.registerFont(TTFont("bold", BOLD))
    title, head, rows, foot = INVOICE
    canvas = Canvas(str(path), pagesize=(SIDE, SIDE), invariant=True)
    canvas.setTitle(title)
    y = SIDE - MARGIN - 34

    def line(text: str, font: str, size: int) -> None:
        nonlocal y
        canvas.setFont(font, size)
        canvas.drawString(MARGIN, y, text)
        y -= LINE

    line(title, "bold", 34)
    y -= 10
    for text in head:
        line(text, "regular", 24)
    width = (SIDE - 2 * MARGIN) / 3
    top = y
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            canvas.drawString(MARGIN + 6 + column * width, top - row * ROW - 28, cell)
    for row in range(len(rows) + 1):
        canvas.line(MARGIN, top - row * ROW, SIDE - MARGIN, top - row * ROW)
    for column in range(4):
        x = MARGIN + column * width
        canvas.line(x, top, x, top - len(rows) * ROW)
    y = top - len(rows) * ROW - 48
    for text in foot:
        line(text, "regular", 24)
    canvas.save()
    return "\n".join([title, *head, html(rows), *foot])


def letter(path: Path) -> str:
    """Write a two-page TIFF and return the text of its pages, separated by a form feed."""
    pages = []
    for title, lines in LETTER:
        page = Image.new("L", (SIDE, SIDE), 250)
        draw = ImageDraw.Draw(page)
        draw.text((MARGIN, 50), title, font=ImageFont.truetype(BOLD, 34), fill=20)
        for number, text in enumerate(lines):
            position = (MARGIN, 130 + number * LINE)
            draw.text(position, text, font=ImageFont.truetype(REGULAR, 26), fill=20)
        pages.append(page)
    pages[0].save(path, save_all=True, append_images=pages[1:], compression="tiff_deflate")
    return "\f".join("\n".join([title, *lines]) for title, lines in LETTER)


def table(path: Path) -> str:
    """Write a PNG of a table with rules and return its text."""
    page = Image.new("L", (SIDE, SIDE), 250)
    draw = ImageDraw.Draw(page)
    font = ImageFont.truetype(REGULAR, 26)
    top, width, height = 60, (SIDE - 2 * MARGIN) // 3, 48
    for row, cells in enumerate(TABLE):
        for column, cell in enumerate(cells):
            position = (MARGIN + 8 + column * width, top + row * height + 9)
            draw.text(position, cell, font=font, fill=20)
    bottom, right = top + len(TABLE) * height, MARGIN + 3 * width
    for row in range(len(TABLE) + 1):
        draw.line((MARGIN, top + row * height, right, top + row * height), fill=20)
    for column in range(4):
        draw.line((MARGIN + column * width, top, MARGIN + column * width, bottom), fill=20)
    page.save(path)
    return html(TABLE)


def main(directory: Path) -> None:
    """Write the documents and their texts."""
    texts = directory.parent / "texts"
    for each in (directory, texts):
        each.mkdir(parents=True, exist_ok=True)
    for name, draw in (("invoice.pdf", invoice), ("letter.tiff", letter), ("table.png", table)):
        text = draw(directory / name)
        (texts / f"{name}.txt").write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "documents")

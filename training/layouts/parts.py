"""What several kinds of documents have in common: sections, captions, headers and footers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from training.layouts.blocks import (
    boxed_paragraph,
    bullets,
    heading,
    paragraph,
    print_lines,
)
from training.layouts.figures import figure
from training.layouts.sheet import Column, Sheet
from training.layouts.tables import draw_table, random_rows
from training.page import Line

#: Sets something in a column, and says whether it fitted.
Part = Callable[[Sheet, Column], bool]


def prose(sheet: Sheet, column: Column, *, most: int = 500) -> bool:
    """Set a paragraph of prose, at times framed, in italics or not at the left.

    :param sheet: the page.
    :param column: the column.
    :param most: its most characters, about.
    :return: whether anything fitted.
    """
    text = sheet.writer.prose(sheet.rng.randint(40, most))
    if sheet.chance(0.07):
        return boxed_paragraph(sheet, column, text)
    align = "left" if sheet.chance(0.9) else sheet.rng.choice(("centre", "right"))
    return paragraph(sheet, column, text, font=sheet.body(), align=align)


def random_list(sheet: Sheet, column: Column, *, most: int = 6) -> bool:
    """Set a list of short or long items.

    :param sheet: the page.
    :param column: the column.
    :param most: the most items.
    :return: whether anything fitted.
    """
    count = sheet.rng.randint(2, most)
    rng, writer = sheet.rng, sheet.writer
    short = sheet.chance(0.6)
    items = [writer.phrase(rng.randint(1, 5)) if short else writer.sentence() for _ in range(count)]
    return bullets(sheet, column, items)


def label_rows(sheet: Sheet, count: int) -> list[str]:
    """Write lines of a label and a value each.

    :param sheet: the page.
    :param count: how many.
    """
    writer = sheet.writer
    return [f"{writer.label()}: {field_value(sheet)}" for _ in range(count)]


def field_value(sheet: Sheet) -> str:
    """Write what may stand in a field of a form.

    :param sheet: the page.
    """
    writer = sheet.writer
    return sheet.rng.choice(
        (writer.fact, writer.date, writer.code, writer.name, writer.capital, writer.amount)
    )()


def fill(sheet: Sheet, columns: Sequence[Column], parts: Sequence[tuple[Part, float]]) -> None:
    """Set random parts until the columns or the budget are used up.

    :param sheet: the page.
    :param columns: the columns, in reading order; each gets its share of the budget.
    :param parts: what may be set, with weights.
    """
    draws = [part for part, _ in parts]
    weights = [weight for _, weight in parts]
    for number, column in enumerate(columns):
        kept = sheet.canvas.left * (len(columns) - number - 1) // (len(columns) - number)
        sheet.canvas.left -= kept
        misses = 0
        while not sheet.full(column) and misses < 3:
            if not sheet.rng.choices(draws, weights)[0](sheet, column):
                misses += 1
        sheet.canvas.left += kept


def section(sheet: Sheet, column: Column) -> bool:
    """Set a section's heading and its first paragraph.

    :param sheet: the page.
    :param column: the column.
    :return: whether the paragraph fitted.
    """
    text = sheet.writer.heading()
    if sheet.chance(0.25):
        text = f"{sheet.rng.randint(1, 9)}. {text}"
    elif sheet.chance(0.15):
        text = f"{sheet.rng.randint(1, 9)}.{sheet.rng.randint(1, 9)} {text}"
    return heading(sheet, column, text) and prose(sheet, column)


def captioned_table(sheet: Sheet, column: Column) -> bool:
    """Set a small table, at times below its caption.

    :param sheet: the page.
    :param column: the column.
    :return: whether it fitted.
    """
    rng = sheet.rng
    cells = random_rows(sheet, rng.randint(2, 5), rng.randint(2, 6))
    text = f"Table {rng.randint(1, 20)}{rng.choice((':', '.'))} {sheet.writer.phrase(3)}"
    # A caption without its table would be odd, so both must be sure to fit.
    needed = len(text) + sum(len(cell) for row in cells for cell in row)
    height = (2.2 * len(cells) + 4 + sheet.style.gap) * sheet.style.size
    room = needed <= sheet.canvas.left and column.y + height <= column.bottom
    if room and sheet.chance(0.5):
        font = sheet.face(italic=sheet.chance(0.4), bold=sheet.chance(0.2))
        paragraph(sheet, column, text, label="table_caption", font=font, most_lines=2)
    return draw_table(sheet, column, cells)


def captioned_figure(sheet: Sheet, column: Column) -> bool:
    """Set a picture and its caption.

    :param sheet: the page.
    :param column: the column.
    :return: whether they fitted.
    """
    rng = sheet.rng
    height = column.width * rng.uniform(0.2, 0.5)
    room = column.bottom - column.y - 3 * sheet.style.size
    if room < height or not figure(sheet, column, height):
        return False
    name = rng.choice(("Figure", "Fig.", "Figure"))
    text = f"{name} {rng.randint(1, 20)}{rng.choice((':', '.', ' –'))} {sheet.writer.phrase(4)}"
    font = sheet.face(0.95, italic=sheet.chance(0.5))
    align = rng.choice(("left", "centre"))
    return paragraph(
        sheet, column, text, label="image_caption", font=font, align=align, most_lines=2
    )


def _margin_line(sheet: Sheet, texts: Sequence[str], label: str, y: float) -> None:
    """Print one line of a page's header or footer; its parts at the left and right edges."""
    style = sheet.style
    font = sheet.face(sheet.rng.uniform(0.75, 1.0), italic=sheet.chance(0.2))
    edge = max(0.05 * sheet.canvas.width, 4)
    column = Column(edge, sheet.canvas.width - edge, y, y + 2 * style.size)
    align = sheet.rng.choice(("left", "centre", "right")) if len(texts) == 1 else "left"
    lines: list[Line] = []
    for text in texts:
        column.y = y
        lines += print_lines(sheet, column, [text], font, align=align)
        align = "right"
    sheet.canvas.add(label, lines, "\n".join(line.text for line in lines))


def _running_texts(sheet: Sheet, numbered: bool) -> list[str]:
    """Write a header or footer that fits the page's width and a third of its budget."""
    rng, writer = sheet.rng, sheet.writer
    page = rng.randint(1, 30)
    number = rng.choice(
        (f"Page {page}", f"Page {page} of {page + rng.randint(0, 9)}", str(page), f"- {page} -")
    )
    other = rng.choice((writer.heading, writer.company, writer.date, writer.email, writer.url))()
    texts = [number] if numbered and sheet.chance(0.6) else [other]
    if sheet.chance(0.4):
        texts = [other, number]
    width = sheet.face().width("  ".join(texts)) + 2 * sheet.style.size
    if width > 0.88 * sheet.canvas.width or sum(map(len, texts)) > sheet.canvas.left / 3:
        return []
    return texts


def framed(sheet: Sheet, column: Column, body: Callable[[], None]) -> None:
    """Set a page's body between a header and a footer, where there is room for them.

    :param sheet: the page.
    :param column: the page's body; becomes smaller.
    :param body: sets the body.
    """
    style = sheet.style
    line = 1.5 * style.size
    if sheet.chance(0.45) and (texts := _running_texts(sheet, numbered=False)):
        _margin_line(sheet, texts, "header", column.y)
        column.y += line
        sheet.gap(column)
    footer = _running_texts(sheet, numbered=True) if sheet.chance(0.5) else []
    reserved = sum(map(len, footer))
    sheet.canvas.left -= reserved
    foot = column.bottom - line
    if footer:
        column.bottom = foot - style.size
    body()
    sheet.canvas.left += reserved
    if footer:
        _margin_line(sheet, footer, "footer", foot)

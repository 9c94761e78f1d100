"""Reports, lists, tables, notes and other kinds of pages."""

from __future__ import annotations

from training.canvas import Face
from training.layouts.blocks import (
    heading,
    paragraph,
    rows,
    rule,
)
from training.layouts.figures import draw_chart, draw_picture
from training.layouts.parts import (
    captioned_figure,
    captioned_table,
    fill,
    framed,
    label_rows,
    prose,
    random_list,
    section,
)
from training.layouts.sheet import Column, Sheet
from training.layouts.tables import draw_table, random_rows


def report(sheet: Sheet, column: Column) -> None:
    """Headings, paragraphs, lists, tables and figures, between a header and a footer."""
    framed(sheet, column, lambda: _report_body(sheet, column))


def _report_body(sheet: Sheet, column: Column) -> None:
    if sheet.chance(0.6):
        align = sheet.rng.choice(("left", "left", "centre"))
        heading(sheet, column, sheet.writer.heading(), label="title", align=align)
        if sheet.chance(0.15):
            rule(sheet, column)
            sheet.gap(column)
    fill(
        sheet,
        [column],
        (
            (prose, 5),
            (section, 2),
            (random_list, 1),
            (captioned_table, 1),
            (captioned_figure, 0.6),
        ),
    )


def two_columns(sheet: Sheet, column: Column) -> None:
    """A title over two columns of prose with headings."""
    framed(sheet, column, lambda: _two_columns_body(sheet, column))


def _two_columns_body(sheet: Sheet, column: Column) -> None:
    if sheet.chance(0.6):
        heading(sheet, column, sheet.writer.heading(), label="title", align="centre")
    halves = column.split(2, gutter=sheet.rng.uniform(1.6, 2.6) * sheet.style.size)
    fill(sheet, halves, ((prose, 5), (section, 1.5), (random_list, 0.7), (captioned_figure, 0.4)))


def table(sheet: Sheet, column: Column) -> None:
    """One big table, at times with a title or a caption."""
    rng = sheet.rng
    if sheet.chance(0.4) and sheet.canvas.left > 100:
        heading(sheet, column, sheet.writer.heading(), label="title")
    columns = rng.randint(2, 6)
    if not draw_table(sheet, column, random_rows(sheet, columns, rng.randint(3, 12))):
        draw_table(sheet, column, random_rows(sheet, 2, 2))
    if sheet.chance(0.3):
        captioned_table(sheet, column)
    if sheet.chance(0.2):
        prose(sheet, column, most=150)


def list_page(sheet: Sheet, column: Column) -> None:
    """Lists below headings."""
    if sheet.chance(0.6):
        heading(sheet, column, sheet.writer.heading(), label="title")
    fill(sheet, [column], ((_long_list, 4), (_subheading, 0.8), (_remark, 0.7)))


def _long_list(sheet: Sheet, column: Column) -> bool:
    return random_list(sheet, column, most=12)


def _subheading(sheet: Sheet, column: Column) -> bool:
    return heading(sheet, column, sheet.writer.heading())


def _remark(sheet: Sheet, column: Column) -> bool:
    return prose(sheet, column, most=120)


def notes(sheet: Sheet, column: Column) -> None:
    """Words, numbers, codes and random characters, which only exact reading gets right."""
    rng = sheet.rng
    if sheet.chance(0.2):
        heading(sheet, column, sheet.writer.tokens(12), label="title")
    scattered = sheet.chance(0.35)
    misses = 0
    while not sheet.full(column) and misses < 3:
        place = column
        if scattered:
            share = rng.uniform(0.4, 1.0)
            start = rng.uniform(0.0, 1.0 - share)
            place = column.part(start, start + share)
        done = _note(sheet, place)
        misses += not done
        column.y = place.y
        if scattered and sheet.chance(0.4):
            sheet.gap(column, rng.uniform(1.0, 3.0))


def _note(sheet: Sheet, column: Column) -> bool:
    """Set a paragraph or some lines of tokens."""
    rng, writer = sheet.rng, sheet.writer
    chance = rng.random()
    font = sheet.face(rng.choice((1.0, 1.0, 1.0, rng.uniform(1.0, 1.6))), bold=sheet.chance(0.12))
    align = "left" if sheet.chance(0.9) else rng.choice(("centre", "right"))
    if chance < 0.6:
        text = writer.tokens(rng.randint(30, 400))
        return paragraph(sheet, column, text, font=font, align=align)
    if chance < 0.9:
        texts = [writer.tokens(rng.randint(4, 24)) for _ in range(rng.randint(1, 6))]
        # Lines that nearly fill the column would look like a paragraph's.
        short = [text for text in texts if font.width(text) < 0.7 * column.width]
        return rows(sheet, column, short, font=font, align=align)
    return rows(sheet, column, label_rows(sheet, rng.randint(1, 5)), font=font)


def card(sheet: Sheet, column: Column) -> None:
    """A few large words in the middle of a large space."""
    rng, writer = sheet.rng, sheet.writer
    column.y += rng.uniform(0.0, 0.6) * (column.bottom - column.y)
    align = rng.choice(("left", "centre", "right"))
    if sheet.chance(0.3):
        heading(sheet, column, writer.heading(), label="title", align=align)
    for _ in range(rng.randint(1, 3)):
        factor = rng.uniform(1.0, 2.0)
        text = writer.tokens(rng.randint(3, 30))
        while factor > 1 and _widest(sheet.face(factor), text) > column.width:
            factor *= 0.8
        paragraph(sheet, column, text, font=sheet.face(factor, bold=sheet.chance(0.3)), align=align)


def _widest(font: Face, text: str) -> float:
    return max(map(font.width, text.split()))


def blank(sheet: Sheet, column: Column) -> None:
    """Nothing, or a border and some specks."""
    rng, canvas, style = sheet.rng, sheet.canvas, sheet.style
    form = rng.randrange(3)
    if form == 1:
        edge = rng.uniform(0.01, 0.06) * canvas.width
        place = (edge, edge, canvas.width - edge, canvas.height - edge)
        canvas.draw.rectangle(place, outline=rng.randint(style.ink, 200), width=style.stroke)
    elif form == 2:
        points = [
            (rng.randrange(canvas.width), rng.randrange(canvas.height))
            for _ in range(rng.randint(3, 80))
        ]
        canvas.draw.point(points, fill=rng.randint(style.ink, 220))


def picture(sheet: Sheet, column: Column) -> None:
    """A picture and no text."""
    rng = sheet.rng
    if sheet.chance(0.3):
        draw_picture(sheet, (0, 0, sheet.canvas.width, sheet.canvas.height))
        return
    width = column.width * rng.uniform(0.4, 1.0)
    height = (column.bottom - column.y) * rng.uniform(0.4, 1.0)
    left = column.left + rng.random() * (column.width - width)
    top = column.y + rng.random() * (column.bottom - column.y - height)
    draw_picture(sheet, (left, top, left + width, top + height))


def chart(sheet: Sheet, column: Column) -> None:
    """A bar or line chart with a title."""
    if sheet.chance(0.8):
        heading(sheet, column, sheet.writer.heading(), label="title", align="centre")
    if not draw_chart(sheet, column):
        paragraph(sheet, column, sheet.writer.word())

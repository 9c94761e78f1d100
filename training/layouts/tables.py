"""Tables of synthetic pages: their content, their measures, their rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training.canvas import Face
from training.layouts.sheet import DESCENT, Column, Sheet
from training.page import Line, PixelBox

#: The looks of tables, with weights.
LOOKS = {
    "grid": 4.0,
    "rows": 2.0,
    "header": 2.0,
    "none": 2.0,
    "shaded": 1.5,
    "inverted": 0.7,
    "zebra": 1.2,
    "frame": 0.8,
}


@dataclass(frozen=True)
class _Grid:
    """Where a table's cells are, in pixels.

    :param edges: the columns' edges, left to right.
    :param top: the first row's top.
    :param row: the rows' height.
    :param pad: between a cell's edge and its text.
    """

    edges: tuple[float, ...]
    top: float
    row: float
    pad: float

    def box(self, rows: int) -> PixelBox:
        """The box around some rows from the first."""
        return self.edges[0], self.top, self.edges[-1], self.top + rows * self.row


def random_rows(sheet: Sheet, columns: int, rows: int) -> list[list[str]]:
    """Write a table: a heading row, and columns of one kind of content each.

    :param sheet: the page.
    :param columns: how many columns.
    :param rows: how many rows, the heading row included.
    """
    rng, writer = sheet.rng, sheet.writer
    kinds: tuple[Callable[[], str], ...] = (
        writer.word,
        writer.capital,
        writer.number,
        writer.number,
        writer.amount,
        writer.amount,
        writer.date,
        writer.percentage,
        writer.code,
        writer.token,
        lambda: str(rng.randint(0, 999)),
        lambda: writer.phrase(2),
        lambda: f"{rng.uniform(0, 999):.2f}",
    )
    content = [rng.choice(kinds) for _ in range(columns)]
    content[0] = rng.choice((*kinds, writer.word, writer.name, lambda: writer.phrase(2)))
    heads = [writer.label() if sheet.chance(0.6) else writer.capital() for _ in content]
    if sheet.chance(0.06):
        heads[0] = ""
    empty = 0.06 if sheet.chance(0.35) else 0.0
    table = [heads]
    for _ in range(rows - 1):
        row = [write() for write in content]
        # The first cell stays, and a column is never empty: its heading is there.
        for place in range(1, columns):
            if rng.random() < empty:
                row[place] = ""
        table.append(row)
    return table


def draw_table(
    sheet: Sheet,
    column: Column,
    cells: Sequence[Sequence[str]],
    *,
    look: str | None = None,
    aligns: Sequence[str] | None = None,
    header: bool = True,
    spread: float | None = None,
) -> bool:
    """Draw a table, without the last rows and columns that do not fit.

    :param sheet: the page.
    :param column: the column of the page that it stands in.
    :param cells: its rows, all of one length.
    :param look: one of :data:`LOOKS`; without one, any.
    :param aligns: the columns' alignments; without them, any.
    :param header: whether the first row is a heading row.
    :param spread: the share of the free width that it takes; without one, any.
    :return: whether it was drawn: 2 rows and 2 columns are the least.
    """
    rng, style = sheet.rng, sheet.style
    look = look or rng.choices(list(LOOKS), list(LOOKS.values()))[0]
    font = sheet.face()
    head = sheet.face(bold=header and sheet.chance(0.6))
    # Without rules only the space tells columns apart.
    pad = (
        rng.uniform(0.35, 0.8) * style.size
        if look == "grid"
        else rng.uniform(0.6, 1.0) * style.size
    )
    cells = _fitting(sheet, column, cells, font, head, pad)
    row = round(rng.uniform(1.4, 2.1) * style.size)
    room = max(0, int((column.bottom - column.y) // row))
    cells = _affordable(cells[:room], sheet.canvas.left)
    if len(cells) < 2 or len(cells[0]) < 2:
        return False
    widths = _widths(cells, font, head, pad)
    extra = max(0.0, column.width - sum(widths))
    extra *= spread if spread is not None else rng.choice((0.0, 0.3, 1.0, rng.random()))
    left = column.left
    if spread is None and sheet.chance(0.3):
        left += (column.width - sum(widths) - extra) * rng.random()
    edges = [left]
    for width in widths:
        edges.append(edges[-1] + width + extra / len(widths))
    grid = _Grid(tuple(map(round, edges)), round(column.y), row, pad)
    _behind(sheet, grid, len(cells), look, header)
    if aligns is None:
        aligns = [rng.choice(("left", "left", "right", "centre")) for _ in widths]
    inverted = look == "inverted" and header
    lines = _print_cells(sheet, grid, cells, aligns, font, head, inverted)
    box = grid.box(len(cells))
    if look == "none":
        boxes = [line.box for line in lines]
        box = (
            max(0, min(b[0] for b in boxes) - 2),
            max(0, min(b[1] for b in boxes) - 2),
            min(sheet.canvas.width, max(b[2] for b in boxes) + 2),
            min(sheet.canvas.height, max(b[3] for b in boxes) + 2),
        )
    sheet.canvas.add("table", lines, box=box, cells=cells)
    column.y = grid.top + row * len(cells)
    sheet.gap(column)
    return True


def _widths(cells: Sequence[Sequence[str]], font: Face, head: Face, pad: float) -> list[float]:
    """Measure the columns: the widest cell and the space beside it."""
    widths = [head.width(cell) for cell in cells[0]]
    for row in cells[1:]:
        widths = [max(w, font.width(c)) for w, c in zip(widths, row, strict=True)]
    return [width + 2 * pad for width in widths]


def _fitting(
    sheet: Sheet,
    column: Column,
    cells: Sequence[Sequence[str]],
    font: Face,
    head: Face,
    pad: float,
) -> list[list[str]]:
    """Leave out the last columns that the page is too narrow for."""
    total = 0.0
    count = 0
    for width in _widths(cells, font, head, pad):
        total += width
        if total > column.width:
            break
        count += 1
    return [list(row[:count]) for row in cells]


def _affordable(cells: Sequence[Sequence[str]], budget: int) -> list[list[str]]:
    """Leave out the last rows that the budget does not allow."""
    kept = []
    for row in cells:
        budget -= sum(map(len, row))
        if budget < 0:
            break
        kept.append(list(row))
    # What was left out may have held the only content of a column.
    if len(kept) < 2 or not all(any(column) for column in zip(*kept, strict=True)):
        return []
    return kept if all(any(row) for row in kept) else []


def _behind(sheet: Sheet, grid: _Grid, rows: int, look: str, header: bool) -> None:
    """Draw a table's rules and shades."""
    style, draw = sheet.style, sheet.canvas.draw
    x1, y1, x2, y2 = grid.box(rows)
    line = style.stroke
    if look == "zebra":
        for number in range(1, rows, 2):
            top = y1 + number * grid.row
            draw.rectangle((x1, top, x2, top + grid.row - 1), fill=style.paper - 22)
    if header and look in ("shaded", "inverted"):
        shade = style.ink if look == "inverted" else style.paper - 32
        draw.rectangle((x1, y1, x2, y1 + grid.row - 1), fill=shade)
    if look in ("grid", "rows", "shaded"):
        for number in range(rows + 1):
            y = y1 + number * grid.row
            draw.line((x1, y, x2, y), style.ink, line)
    if look == "grid":
        for edge in grid.edges:
            draw.line((edge, y1, edge, y2), style.ink, line)
    if look == "header":
        draw.line((x1, y1 + grid.row, x2, y1 + grid.row), style.ink, line)
    if look == "frame":
        draw.rectangle((x1, y1, x2, y2), outline=style.ink, width=line)
        draw.line((x1, y1 + grid.row, x2, y1 + grid.row), style.ink, line)


def _print_cells(
    sheet: Sheet,
    grid: _Grid,
    cells: Sequence[Sequence[str]],
    aligns: Sequence[str],
    font: Face,
    head: Face,
    inverted: bool,
) -> list[Line]:
    """Print the cells, each at its column's side."""
    style = sheet.style
    # The middle of what reaches above and below the baseline, in the middle of the row.
    base = grid.top + (grid.row + style.size * (1 - DESCENT * 0.9)) / 2
    lines = []
    for number, row in enumerate(cells):
        face = head if number == 0 else font
        ink = style.paper if inverted and number == 0 else style.ink
        for place, cell in enumerate(row):
            if not cell:
                continue
            left, right = grid.edges[place] + grid.pad, grid.edges[place + 1] - grid.pad
            width = face.width(cell)
            x = left
            if aligns[place] == "right":
                x = right - width
            elif aligns[place] == "centre":
                x = (left + right - width) / 2
            lines.append(sheet.canvas.print(cell, face, x, base + number * grid.row, ink))
    return lines

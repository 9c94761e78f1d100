"""Tables as cells with places in a grid."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

#: Columns and cells of a table that are kept. The longest output, 8,192 tokens, has room for
#: about 2,000 cells; larger tables are degenerate.
MOST_COLUMNS, MOST_CELLS = 1_000, 10_000

#: Markup of a cell that is replaced by a space, and markup that is dropped. Raised and lowered text stays
#: marked, as 10 with a raised 2 is not 102.
_SPACE = re.compile(r"<(?:br\s{0,9}/?|/?p|/?div)>", re.IGNORECASE)
_INLINE = re.compile(
    r"</?(?:b|strong|i|em|u|s|span|font|small|big)(?:\s[^<>]{0,500})?>", re.IGNORECASE
)


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    :param row: its first row, from 0.
    :param column: its first column, from 0.
    :param markup: its content as the model wrote it, on one line.
    :param row_span: rows that it covers, none of them beyond the table's last.
    :param column_span: columns that it covers.
    :param is_header: whether it is marked as a header.
    """

    row: int
    column: int
    markup: str
    row_span: int = 1
    column_span: int = 1
    is_header: bool = False

    @property
    def text(self) -> str:
        """The content without HTML's entities, line breaks and emphasis; formulas stay as they are."""
        plain = self.markup
        if "<" in plain:
            plain = _INLINE.sub("", _SPACE.sub(" ", plain))
        return " ".join(html.unescape(plain).split())


@dataclass(frozen=True)
class Table:
    """A table of a page.

    :param cells: row by row.
    :param widths: columns of each row; a cell counts with all columns that it spans.
    :param caption: its caption, empty without one.
    :param is_truncated: whether it has cells beyond :data:`MOST_COLUMNS` or :data:`MOST_CELLS`, which are
        left out.
    """

    cells: tuple[Cell, ...]
    widths: tuple[int, ...]
    caption: str = ""
    is_truncated: bool = False

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return len(self.widths)

    @property
    def column_count(self) -> int:
        """Number of columns that cells cover."""
        return max((cell.column + cell.column_span for cell in self.cells), default=0)

    @property
    def is_ragged(self) -> bool:
        """Whether rows have different widths."""
        return len(set(self.widths)) > 1

    def texts(self) -> list[list[str]]:
        """Return the text of each row's columns; a cell that spans several has its text in the first."""
        rows = [[""] * self.column_count for _ in self.widths]
        for cell in self.cells:
            rows[cell.row][cell.column] = cell.text
        return rows


class Grid:
    """Places the cells of a table, row by row, as HTML does."""

    def __init__(self) -> None:
        self._cells: list[Cell] = []
        self._widths: list[int] = []
        self._is_truncated = False
        #: For each column, the row at which it is free again.
        self._free_at: list[int] = []
        #: Columns that cells of earlier rows cover in the next row, and for each later row how many of these
        #: end before it.
        self._covered = 0
        self._ending: dict[int, int] = {}
        self._width = self._column = 0
        self._row: list[str] = []
        self._placed: list[tuple[int, int, int, int, bool]] = []

    def start_row(self) -> None:
        """Begin a row."""
        self._covered -= self._ending.pop(len(self._widths), 0)
        self._width, self._column = self._covered, 0
        self._row, self._placed = [], []

    def add(self, *, columns: int = 1, rows: int = 1, is_header: bool = False) -> None:
        """Add an empty cell to the row.

        :param columns: columns that it spans.
        :param rows: rows that it spans.
        """
        row = len(self._widths)
        self._width += columns
        if rows > 1:
            self._covered += columns
            self._ending[row + rows] = self._ending.get(row + rows, 0) + columns
        while self._column < len(self._free_at) and self._free_at[self._column] > row:
            self._column += 1
        start, end = self._column, min(self._column + max(columns, 1), MOST_COLUMNS)
        if start >= end or len(self._cells) + len(self._placed) >= MOST_CELLS:
            self._is_truncated = True
        else:
            self._placed.append((len(self._row), start, end - start, max(rows, 1), is_header))
            self._is_truncated |= columns > end - start
            if rows > 1:
                self._free_at += [0] * (end - len(self._free_at))
                self._free_at[start:end] = [
                    max(each, row + rows) for each in self._free_at[start:end]
                ]
            self._column = end
        self._row.append("")

    def write(self, piece: str) -> None:
        """Add text to the last cell of the row."""
        self._row[-1] += piece

    def write_stray(self, piece: str) -> None:
        """Add text that is in no cell of the row."""
        self._row.append(piece)

    def end_row(self) -> str:
        """End the row, and return its text, cells separated by tabs."""
        self._cells += (
            Cell(len(self._widths), column, self._row[index].strip(), rows, columns, is_header)
            for index, column, columns, rows, is_header in self._placed
        )
        self._widths.append(self._width)
        return "\t".join(self._row)

    def table(self, caption: str = "") -> Table:
        """Return the table of the rows that have ended."""
        last = len(self._widths)
        cells = (
            cell
            if cell.row + cell.row_span <= last
            else Cell(
                cell.row,
                cell.column,
                cell.markup,
                last - cell.row,
                cell.column_span,
                cell.is_header,
            )
            for cell in self._cells
        )
        return Table(tuple(cells), tuple(self._widths), caption, self._is_truncated)

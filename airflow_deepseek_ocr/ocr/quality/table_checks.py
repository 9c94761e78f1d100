"""HTML tables in model output: completeness, and the widths of their rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Attributes of a tag. A quoted value may have ">"; broken quotes end with the tag.
_ATTRIBUTES = r"((?:[^<>\"']|\"[^<\"]{0,2000}\"|'[^<']{0,2000}'){0,2000}|[^<>]{0,2000})"
_TAG = re.compile(rf"<(/?)(table|tr|td|th|caption)(?![\w-]){_ATTRIBUTES}>", re.IGNORECASE)
#: Tags without meaning for rows and cells, and comments.
_SECTION = re.compile(
    rf"</?(?:thead|tbody|tfoot|colgroup|col)(?![\w-]){_ATTRIBUTES}>|<!--[^<>]{{0,500}}-->",
    re.IGNORECASE | re.DOTALL,
)
_SPAN = re.compile(r"\b(colspan|rowspan)\s*=\s*[\"']?(\d{1,3})", re.IGNORECASE)
#: Rows of a block that repeats, at most, and the fewest repetitions.
_LONGEST_BLOCK, _LEAST_BLOCKS = 8, 8
_PARENT = {"tr": "table", "td": "tr", "th": "tr", "caption": "table"}


@dataclass(frozen=True)
class Tables:
    """The tables of a text.

    :param widths: columns of each row of each table; a cell counts with all columns that it spans.
    :param rows: the text of each row of all tables, cells separated by tabs.
    :param outside: the text outside of tables.
    :param broken: number of tags without their partner.
    """

    widths: tuple[tuple[int, ...], ...]
    rows: tuple[str, ...]
    outside: str
    broken: int

    @property
    def ragged(self) -> int:
        """Number of tables with rows of different widths."""
        return sum(len(set(widths)) > 1 for widths in self.widths)


def find_tables(text: str) -> Tables:
    """Return the tables of any text, however broken, in time linear in its length."""
    return _Parser(_SECTION.sub("", text)).tables()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[str] = []
        self._broken = 0
        self._widths: list[tuple[int, ...]] = []
        self._rows: list[str] = []
        self._outside: list[str] = []
        self._table: list[int] = []
        self._row: list[str] = []
        self._width = 0
        #: For each column that a cell of an earlier row spans: the number of further rows that it spans.
        self._reaching: list[int] = []

    def tables(self) -> Tables:
        position = 0
        for tag in _TAG.finditer(self._text):
            self._take(self._text[position : tag.start()])
            position = tag.end()
            name = tag[2].lower()
            if tag[1]:
                self._close(name)
            else:
                self._enter(name, tag[3])
        self._take(self._text[position:])
        self._broken += len(self._open)
        while self._open:
            self._leave(self._open.pop())
        return Tables(tuple(self._widths), tuple(self._rows), "".join(self._outside), self._broken)

    def _take(self, piece: str) -> None:
        if not self._open:
            self._outside.append(piece)
        elif self._open[-1] in ("td", "th"):
            self._row[-1] += piece.replace("\n", " ")
        elif self._open[-1] == "caption":
            self._outside.append(piece)
        elif piece.strip():
            # Text between rows or cells belongs to the table, but to none of its cells.
            self._broken += 1
            self._row.append(piece)

    def _enter(self, name: str, attributes: str) -> None:
        parent = _PARENT.get(name)
        if parent is not None and (not self._open or self._open[-1] != parent):
            self._broken += 1
            return
        if parent is None and self._open:
            self._broken += 1  # a table within a table: the published format has none
            return
        self._open.append(name)
        if name == "table":
            self._table, self._reaching = [], []
        elif name == "tr":
            self._row = []
            self._width = sum(rows > 0 for rows in self._reaching)
            self._reaching = [rows - 1 for rows in self._reaching if rows > 1]
        elif name != "caption":
            spans = {key.lower(): int(value) for key, value in _SPAN.findall(attributes)}
            columns, rows = spans.get("colspan", 1), spans.get("rowspan", 1)
            self._row.append("")
            self._width += columns
            if rows > 1:
                self._reaching += [rows - 1] * columns

    def _close(self, name: str) -> None:
        if name not in self._open:
            self._broken += 1
            return
        while (inner := self._open.pop()) != name:
            self._broken += 1
            self._leave(inner)
        self._leave(name)

    def _leave(self, name: str) -> None:
        if name == "tr":
            self._table.append(self._width)
            self._rows.append("\t".join(self._row))
        elif name == "table":
            self._widths.append(tuple(self._table))
            self._outside.append("\n")


def rows_repeated_at_end(rows: tuple[str, ...]) -> int:
    """Return how many rows before the last are equal to it without a break; 0 if it has no letters."""
    if not rows or not any(map(str.isalpha, rows[-1])):
        return 0
    return sum(1 for _ in _same_from_end(rows)) - 1


def rows_in_loop_at_end(rows: tuple[str, ...]) -> int:
    """Return the number of rows at the end that repeat a block of different rows 8 times or more; or 0."""
    for period in range(2, _LONGEST_BLOCK + 1):
        if len(rows) < _LEAST_BLOCKS * period:
            break
        block = rows[-period:]
        if not any(map(str.isalpha, "".join(block))):
            continue
        length = 0
        while length < len(rows) and rows[-1 - length] == block[-1 - length % period]:
            length += 1
        if length >= _LEAST_BLOCKS * period and len(set(block)) > 1:
            return length
    return 0


def _same_from_end(rows: tuple[str, ...]) -> Iterator[str]:
    for row in reversed(rows):
        if row != rows[-1]:
            return
        yield row

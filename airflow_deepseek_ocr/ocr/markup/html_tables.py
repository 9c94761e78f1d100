"""HTML tables in model output: cells and spans, completeness, and the text around them.

Any text is taken, however broken, in time linear in its length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from airflow_deepseek_ocr.ocr.markup.table_grid import Grid, Table

#: Attributes of a tag. A quoted value may have ">"; broken quotes end with the tag.
_ATTRIBUTES = r"((?:[^<>\"']|\"[^<\"]{0,2000}\"|'[^<']{0,2000}'){0,2000}|[^<>]{0,2000})"
_TAG = re.compile(rf"<(/?)(table|thead|tr|td|th|caption)(?![\w-]){_ATTRIBUTES}>", re.IGNORECASE)
#: Tags without meaning for rows and cells, and comments.
_SECTION = re.compile(
    rf"</?(?:tbody|tfoot|colgroup|col)(?![\w-]){_ATTRIBUTES}>|<!--[^<>]{{0,500}}-->",
    re.IGNORECASE | re.DOTALL,
)
_SPAN = re.compile(r"\b(colspan|rowspan)\s*=\s*[\"']?(\d{1,3})", re.IGNORECASE)
_PARENT = {"tr": "table", "td": "tr", "th": "tr", "caption": "table"}
_CELLS = ("td", "th")
#: Tables within tables that are followed; the published format has none.
_DEEPEST = 4


@dataclass(frozen=True)
class HtmlTables:
    """The HTML tables of a text.

    :param tables: in the order in which they begin.
    :param rows: the text of each row of all tables, cells separated by tabs.
    :param pieces: the text outside of tables, and each table where it begins; an inner one follows its outer.
    :param outside: the text outside of tables, with captions.
    :param broken: number of tags without their partner, and of tables within tables.
    """

    tables: tuple[Table, ...]
    rows: tuple[str, ...]
    pieces: tuple[str | Table, ...]
    outside: str
    broken: int

    @property
    def ragged(self) -> int:
        """Number of tables with rows of different widths."""
        return sum(table.is_ragged for table in self.tables)


def html_tables(text: str) -> HtmlTables:
    """Return the HTML tables of any text."""
    return _Parser(_SECTION.sub("", text)).tables()


@dataclass
class _Open:
    """A table whose end has not come.

    :param tags: its tag, and those of its parts that are open.
    """

    tags: list[str] = field(default_factory=lambda: ["table"])
    grid: Grid = field(default_factory=Grid)
    caption: str = ""
    in_head: bool = False


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[_Open] = []
        self._broken = 0
        self._rows: list[str] = []
        self._outside: list[str] = []
        self._pieces: list[str | _Open] = []

    def tables(self) -> HtmlTables:
        position = 0
        for tag in _TAG.finditer(self._text):
            self._take(self._text[position : tag.start()])
            position = tag.end()
            name = tag[2].lower()
            if name == "thead":
                self._set_head(not tag[1])
            elif tag[1]:
                self._close(name)
            else:
                self._enter(name, tag[3])
        self._take(self._text[position:])
        while self._open:
            self._broken += len(self._open[-1].tags)
            self._leave_all(self._open[-1])
        pieces = tuple(
            each if isinstance(each, str) else each.grid.table(" ".join(each.caption.split()))
            for each in self._pieces
        )
        tables = tuple(each for each in pieces if isinstance(each, Table))
        outside = "".join(self._outside)
        return HtmlTables(tables, tuple(self._rows), pieces, outside, self._broken)

    def _take(self, piece: str) -> None:
        if not self._open:
            self._outside.append(piece)
            self._pieces.append(piece)
            return
        table = self._open[-1]
        if table.tags[-1] in _CELLS:
            table.grid.write(piece.replace("\n", " "))
        elif table.tags[-1] == "caption":
            self._outside.append(piece)
            table.caption += piece
        elif piece.strip():
            # Text between rows or cells belongs to the table, but to none of its cells.
            self._broken += 1
            table.grid.write_stray(piece)

    def _set_head(self, value: bool) -> None:
        if self._open:
            self._open[-1].in_head = value

    def _enter(self, name: str, attributes: str) -> None:
        if name == "table":
            self._enter_table()
            return
        table = self._open[-1] if self._open else None
        if table is None or table.tags[-1] != _PARENT[name]:
            self._broken += 1
            return
        table.tags.append(name)
        if name == "tr":
            table.grid.start_row()
        elif name in _CELLS:
            spans = {key.lower(): int(value) for key, value in _SPAN.findall(attributes)}
            table.grid.add(
                columns=spans.get("colspan", 1),
                rows=spans.get("rowspan", 1),
                is_header=name == "th" or table.in_head,
            )

    def _enter_table(self) -> None:
        if self._open:
            self._broken += 1
            if self._open[-1].tags[-1] not in _CELLS or len(self._open) > _DEEPEST:
                return
        self._open.append(_Open())
        self._pieces.append(self._open[-1])

    def _close(self, name: str) -> None:
        if not self._open or name not in self._open[-1].tags:
            self._broken += 1
            return
        table = self._open[-1]
        while (inner := table.tags.pop()) != name:
            self._broken += 1
            self._leave(inner, table)
        self._leave(name, table)

    def _leave_all(self, table: _Open) -> None:
        while table.tags:
            self._leave(table.tags.pop(), table)

    def _leave(self, name: str, table: _Open) -> None:
        if name == "tr":
            self._rows.append(table.grid.end_row())
        elif name == "table":
            self._open.pop()
            if not self._open:
                self._outside.append("\n")

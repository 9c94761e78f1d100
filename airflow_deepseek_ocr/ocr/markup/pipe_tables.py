"""Tables in Markdown, whose cells are separated by vertical bars (GitHub's extension of CommonMark)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from airflow_deepseek_ocr.ocr.markup.table_grid import Grid, Table

#: A bar that no backslash precedes.
_BAR = re.compile(r"(?<!\\)\|")
#: A cell of the line below the header, after its spaces are removed.
_DELIMITER = re.compile(r":?-+:?")
#: Begins and ends a block of code.
_FENCE = "```"


def pipe_tables(text: str) -> Iterator[Table]:
    """Yield the tables of any text in their order."""
    if "|" not in text:
        return
    lines = text.splitlines()
    number, is_code = 1, False
    while number < len(lines):
        is_code ^= lines[number - 1].lstrip().startswith(_FENCE)
        header = _cells(lines[number - 1])
        if is_code or not header or not _is_delimiter(lines[number], len(header)):
            number += 1
            continue
        body = number + 1
        while body < len(lines) and _cells(lines[body]):
            body += 1
        yield _table([header, *map(_cells, lines[number + 1 : body])])
        number = body + 1


def _cells(line: str) -> list[str]:
    """Return the cells of a line; none if it has no bar."""
    line = line.strip()
    if "|" not in line:
        return []
    cells = _BAR.split(line)
    # Bars at the ends of the line are optional.
    if not cells[0]:
        del cells[0]
    if cells and not cells[-1]:
        del cells[-1]
    return [cell.strip().replace("\\|", "|") for cell in cells]


def _is_delimiter(line: str, columns: int) -> bool:
    cells = _cells(line)
    return len(cells) == columns and all(map(_DELIMITER.fullmatch, cells))


def _table(rows: Sequence[Sequence[str]]) -> Table:
    grid = Grid()
    for number, row in enumerate(rows):
        grid.start_row()
        for cell in row:
            grid.add(is_header=number == 0)
            grid.write(cell)
        grid.end_row()
    return grid.table()

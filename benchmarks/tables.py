"""Figures as a table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown_table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table with a line for each row.

    :param columns: keys of the rows, in this order; a row without one has an empty cell.
    :param rows: figures.
    """
    shown = [[_shown(row.get(name)) for name in columns] for row in rows]
    lines = [list(columns), ["---"] * len(columns), *shown]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.2f}" if isinstance(value, float) else str(value)

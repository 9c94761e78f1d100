"""The tables of a page with their cells."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.store.tables import Rows

#: Tables of a page, and cells of them all together, that are shown.
MAX_TABLES, MAX_CELLS = 50, 20_000

_TABLE = (
    "id",
    "position",
    "region_position",
    "row_count",
    "column_count",
    "caption",
    "is_ragged",
    "is_truncated",
)
_CELL = (
    "table_id",
    "row_index",
    "column_index",
    "row_span",
    "column_span",
    "is_header",
    "text",
)


def of_page(session: Session, rows: Rows, page_id: int) -> list[dict[str, Any]]:
    """Return the tables of a page in order, each with its cells; without those beyond the limits."""
    table, cell = rows.table, rows.cell
    query = (
        select(*(getattr(table, name) for name in _TABLE))
        .where(table.page_id == page_id)
        .order_by(table.position)
        .limit(MAX_TABLES)
    )
    found = {row["id"]: {**row, "cells": []} for row in session.execute(query).mappings()}
    cells = (
        select(*(getattr(cell, name) for name in _CELL))
        .where(cell.table_id.in_(found))
        .order_by(cell.table_id, cell.row_index, cell.column_index)
        .limit(MAX_CELLS)
    )
    for row in session.execute(cells).mappings() if found else ():
        value = dict(row)
        found[value.pop("table_id")]["cells"].append(value)
    return list(found.values())

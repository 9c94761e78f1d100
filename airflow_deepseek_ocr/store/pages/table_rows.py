"""Rows of the tables of pages, and of their cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow_deepseek_ocr.ocr.markup.page_tables import page_tables
from airflow_deepseek_ocr.ocr.markup.table_grid import Table
from airflow_deepseek_ocr.store.pages.inserts import Inserts
from airflow_deepseek_ocr.store.row_values import fit
from airflow_deepseek_ocr.store.tables import Rows, TableCellRow, TableRow

#: Tables and cells of a page that are stored. The longest output, 8,192 tokens, has room for about 2,000
#: cells.
MOST_TABLES, MOST_CELLS = 500, 20_000


@dataclass(frozen=True)
class PageText:
    """The text of a page, or of one of its regions, whose tables are stored.

    :param page_id: row of the page.
    :param region: position of the region; None for the text of the page as a whole.
    :param text: with the markup of tables.
    """

    page_id: int
    region: int | None
    text: str


def insert_tables(inserts: Inserts, rows: Rows, texts: Iterable[PageText]) -> None:
    """Insert rows of all tables in texts, and of their cells.

    :param rows: the mapped classes of the tables.
    :param texts: those of a page one after the other.
    :raises UnstorableError: ``unstorable``; the transaction cannot continue.
    """
    found = list(_tables(texts))
    if not found:
        return
    ids = inserts.with_ids(rows.table, [values for values, _ in found])
    inserts.many(
        rows.cell,
        [
            cell | {"table_id": table_id}
            for table_id, (_, cells) in zip(ids, found, strict=True)
            for cell in cells
        ],
    )


def _tables(texts: Iterable[PageText]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    page_id, tables, cells = 0, 0, 0
    for text in texts:
        if text.page_id != page_id:
            page_id, tables, cells = text.page_id, 0, 0
        for table in page_tables(text.text):
            if tables == MOST_TABLES:
                break
            kept = _cells(table)[: MOST_CELLS - cells]
            is_truncated = table.is_truncated or len(kept) < len(table.cells)
            yield _table(text, tables, table, is_truncated=is_truncated), kept
            tables, cells = tables + 1, cells + len(kept)


def _table(text: PageText, position: int, table: Table, *, is_truncated: bool) -> dict[str, Any]:
    values = {
        "page_id": text.page_id,
        "position": position,
        "region_position": text.region,
        "row_count": table.row_count,
        "column_count": table.column_count,
        "caption": table.caption or None,
        "is_ragged": table.is_ragged,
        "is_truncated": is_truncated,
    }
    return fit(TableRow, values)


def _cells(table: Table) -> list[dict[str, Any]]:
    return [
        fit(
            TableCellRow,
            {
                "row_index": cell.row,
                "column_index": cell.column,
                "row_span": cell.row_span,
                "column_span": cell.column_span,
                "is_header": cell.is_header,
                "text": cell.text,
            },
        )
        for cell in table.cells
    ]

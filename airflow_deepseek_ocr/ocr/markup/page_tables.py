"""The tables of a text in model output, whatever they are written in."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_deepseek_ocr.ocr.markup.html_tables import html_tables
from airflow_deepseek_ocr.ocr.markup.pipe_tables import pipe_tables
from airflow_deepseek_ocr.ocr.markup.table_grid import Table


def page_tables(text: str) -> Iterator[Table]:
    """Yield the tables of any text, HTML and Markdown, in their order; those without cells are left out."""
    if "|" not in text and "<" not in text:
        return
    for piece in html_tables(text).pieces:
        for table in (piece,) if isinstance(piece, Table) else pipe_tables(piece):
            if table.cells:
                yield table

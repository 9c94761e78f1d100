"""The tables of a document as CSV (RFC 4180), one file for each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from airflow_deepseek_ocr.ocr.exports.exported import ExportedDocument
from airflow_deepseek_ocr.ocr.exports.formats import ExportFile, Format
from airflow_deepseek_ocr.ocr.markup.page_tables import page_tables
from airflow_deepseek_ocr.ocr.markup.table_grid import Table


def table_files(document: ExportedDocument) -> Iterator[ExportFile]:
    """Yield a file for each table, named by page and place on the page.

    A cell that spans several rows or columns has its text in the first of these.
    """
    for page in document.pages:
        texts = [region.text for region in page.shown_regions]
        tables = (table for text in texts for table in page_tables(text))
        for number, table in enumerate(tables, start=1):
            name = f"tables/p{page.number:04d}-{number}.csv"
            content = table_csv(table).encode("utf-8", "replace")
            yield ExportFile(Format.CSV, name, "text/csv", content, page.number)


def table_csv(table: Table) -> str:
    """Return a table as CSV with a comma between cells."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows(table.texts())
    return buffer.getvalue()

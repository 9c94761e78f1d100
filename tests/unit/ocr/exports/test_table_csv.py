"""Tables as CSV."""

from __future__ import annotations

import csv
import io

from airflow_deepseek_ocr.ocr.exports.table_csv import table_files
from tests.support.exported import document, page, region, sample


def test_each_table_is_a_file_named_by_its_page() -> None:
    (file,) = table_files(sample())
    assert (file.name, file.page_number, file.media_type) == ("tables/p0001-1.csv", 1, "text/csv")
    assert file.content == b'Item,EUR\r\nPaper,"1,50"\r\n'


def test_spans_keep_columns_in_their_places_and_rejected_pages_have_no_tables() -> None:
    first = '<tr><td colspan="2">A "b"</td><td>c\nd</td></tr>'
    wide = f"<table>{first}<tr><td>1</td><td>2</td><td>3</td></tr></table>"
    pages = document(
        page(1, region(1, "<table><tr><td>x</td></tr></table>"), status="failed"),
        page(2, region(1, f"{wide}\n\n{wide}")),
    )
    files = list(table_files(pages))
    assert [file.name for file in files] == ["tables/p0002-1.csv", "tables/p0002-2.csv"]
    rows = list(csv.reader(io.StringIO(files[0].content.decode(), newline="")))  # type: ignore[union-attr]
    assert rows == [['A "b"', "", "c d"], ["1", "2", "3"]]

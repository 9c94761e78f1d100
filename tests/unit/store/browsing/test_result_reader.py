"""Results as plain values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.results import Region
from airflow_deepseek_ocr.store.browsing import result_reader
from airflow_deepseek_ocr.store.browsing.result_reader import (
    OcrPage,
    read_documents,
    read_exports,
    read_pages,
    read_regions,
    read_tables,
)
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.reviews.corrections import Seen, correct_region
from airflow_deepseek_ocr.store.tables import DocumentRow, ExportRow, RegionRow
from tests.support.fixtures.stored_documents import CONFIG, REF, TASK, failed, page, read

TABLE = '<table><tr><td colspan="2">a</td></tr><tr><td>1</td><td>2</td></tr></table>'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(create_engine(f"sqlite:///{tmp_path}/results.db"))) as opened:
        opened.ensure_schema()
        pages = [
            page(1, TABLE, regions=(Region("table", TABLE), Region("text", "x"))),
            page(2, "b", score=0.4, confidence=0.9, flags=("loop",)),
            failed(3),
        ]
        read(Ledger(opened.database, CONFIG, TASK), *pages)
        yield opened


def test_documents_in_small_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read(Ledger(store.database, CONFIG, TASK), page(1), ref=replace(REF, uri="s3://b/second.pdf"))
    monkeypatch.setattr(result_reader, "_DOCUMENTS", 1)
    found = list(read_documents(store.database, DocumentRow.id > 0))
    assert [(each.uri, each.status, each.dag_id) for each in found] == [
        (REF.uri, "partial", "dag"),
        ("s3://b/second.pdf", "done", "dag"),
    ]
    assert found[0].to_dict()["config_key"] == CONFIG.key


def test_pages_with_what_people_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_reader, "_PAGES", 2)
    first, second, third = read_pages(store.database, 1)
    assert (second.text, second.score, second.flags) == ("b", 0.4, ("loop",))
    assert [each.needs_review(0.5) for each in (first, second, third)] == [False, True, True]
    assert [each.needs_review(0.3) for each in (first, second, third)] == [False, False, True]
    with Session(store.database.engine) as session:
        region = session.query(RegionRow).filter_by(page_id=second.id, position=0).one()
    correct_region(store.database, region.id, "B", by="ada", seen=Seen(second.created_at))
    corrected = list(read_pages(store.database, 1))[1]
    assert (corrected.text, corrected.model_text, corrected.is_corrected) == (
        "B\n\n<!-- image -->",
        "b",
        True,
    )
    assert not corrected.needs_review(0.5)
    region_read, picture = read_regions(store.database, second.id)
    assert (region_read.text, region_read.box, region_read.is_corrected) == (
        "B",
        (10, 20, 30, 40),
        True,
    )
    assert (picture.label, picture.box, picture.description) == ("image", None, None)


def test_tables_are_rows_of_texts(store: Store) -> None:
    (table,) = read_tables(store.database, 1)
    assert (table.page_number, table.rows, table.is_ragged) == (1, [["a", ""], ["1", "2"]], False)


def test_exports_of_documents(store: Store) -> None:
    values = {
        "export_key": "k",
        "document_id": 1,
        "kind": "markdown",
        "name": "a.md",
        "uri": "s3://exports/a.md",
        "media_type": "text/markdown",
        "size_bytes": 3,
        "sha256": "0",
    }
    with Session(store.database.engine) as session, session.begin():
        session.execute(insert(ExportRow).values(**values, created_at=DatabaseTime()))
    (found,) = read_exports(store.database, [1, 2])
    assert (found.uri, found.page_number) == ("s3://exports/a.md", None)
    assert list(read_exports(store.database, [])) == []


def test_a_page_without_values_needs_no_review() -> None:
    values = dict.fromkeys(OcrPage.__dataclass_fields__) | {"status": "text_layer"}
    assert not OcrPage(**values).needs_review(1)  # type: ignore[arg-type]

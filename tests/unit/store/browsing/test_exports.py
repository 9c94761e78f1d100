"""The files of a document."""

from __future__ import annotations

from sqlalchemy.orm import Session

from airflow_deepseek_ocr.store.browsing import exports
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fixtures.shown_documents import add_export, page
from tests.support.fixtures.stored_documents import CONFIG, TASK, document, read


def test_files_of_a_document_and_of_its_pages(store: Store) -> None:
    read(Ledger(store.database, CONFIG, TASK), page(1))
    number = document(store).id
    whole = add_export(store, number, "json", "s3://b/all.json", b"{}")
    picture = add_export(store, number, "webp", "s3://b/page-0001.webp", b"p", 1)
    with Session(store.database.engine) as session:
        rows = store.database.rows
        assert [each["id"] for each in exports.files(session, rows, number)] == [whole]
        assert [each["id"] for each in exports.files(session, rows, number, 1)] == [picture]
        found = exports.picture(session, rows, number, 1)
        assert found is not None
        assert (found["uri"], found["size_bytes"]) == ("s3://b/page-0001.webp", 1)
        assert exports.picture(session, rows, number, 2) is None
        assert exports.find(session, rows, number, whole)["name"] == "all.json"  # type: ignore[index]
        assert exports.find(session, rows, number + 1, whole) is None

"""The current rows of documents."""

from __future__ import annotations

from types import SimpleNamespace

from sqlalchemy import update

from airflow_deepseek_ocr.store.browsing.current import current_documents

SCAN, LONG = "s3://documents/2026/scan.pdf", "s3://documents/2026/long.pdf"


def test_a_document_without_a_result_is_current_until_a_version_has_one(
    shown: SimpleNamespace,
) -> None:
    scan, long = shown.ids["scan.pdf"], shown.ids["long.pdf"]
    document = shown.rows.document
    assert current_documents(shown.session, shown.rows, {SCAN, LONG, "s3://none"}) == {scan, long}
    with shown.session.begin_nested() as change:
        shown.session.execute(update(document).where(document.id == long).values(uri=SCAN))
        assert current_documents(shown.session, shown.rows, {SCAN, LONG}) == {long}
        change.rollback()


def test_no_document_has_no_current_row(shown: SimpleNamespace) -> None:
    assert current_documents(shown.session, shown.rows, set()) == set()

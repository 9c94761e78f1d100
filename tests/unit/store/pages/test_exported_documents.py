"""Stored results as exports take them, and the rows of exported files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import delete, event, select, update

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.fingerprint import document_key
from airflow_deepseek_ocr.ocr.results import (
    Box,
    PageResult,
    PageStatus,
    Region,
)
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.leases import Lease
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.pages.exported_documents import (
    ExportedFile,
    StoredDocument,
    read_document,
    write_exports,
)
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.reviews.corrections import Seen, correct_region
from airflow_deepseek_ocr.store.row_values import TaskInfo
from tests.support.fakes.batch_engine import CONFIG

REF = DocumentRef("s3://b/a.pdf", "v1", "v1", "etag")
KEY = document_key(REF, CONFIG)
BOX = Box((0, 0, 9, 9), (30, 40, 10, 20))
PAGE = PageResult(
    number=1,
    status=PageStatus.OK,
    resolution="small",
    width=100,
    height=200,
    markdown="# Oder\n\n7",
    regions=(Region("title", "# Oder", (BOX,), 0.5, (50,)), Region("text", "7")),
    flags=("loop",),
    confidence=0.6,
    rotation=90,
)
FILE = ExportedFile("text", None, "document.txt", "s3://x/document.txt", "text/plain", 3, "ab")


@pytest.fixture
def lease(store: Store) -> Iterator[Lease]:
    ledger = Ledger(store.database, CONFIG, TaskInfo())
    lease = ledger.claim(REF)
    assert isinstance(lease, Lease)
    ledger.write_page(lease, replace(PAGE, number=2, status=PageStatus.FAILED, error_code="loop"))
    ledger.write_page(lease, PAGE)
    assert read_document(store.database, KEY) is None  # its pages are still being processed
    ledger.complete(lease, media_type="application/pdf", page_count=5, pages=2)
    yield lease


def read(store: Store) -> StoredDocument:
    found = read_document(store.database, KEY)
    assert found is not None
    return found


def test_a_document_is_read_with_its_pages_and_regions(store: Store, lease: Lease) -> None:
    found = read(store)
    assert (found.document_id, found.ref) == (lease.document_id, REF)
    document = found.document
    assert (document.media_type, document.page_count, document.dpi) == ("application/pdf", 5, 72)
    assert (document.version_key, document.config_key) == (REF.version_key, CONFIG.key)
    first, second = document.pages
    assert (first.number, first.rotation, first.flags) == (1, 90, ("loop",))
    assert first.regions[0].boxes == ((10, 20, 30, 40),)
    assert first.regions[0].word_confidences == (50,)
    assert [region.position for region in first.regions] == [1, 2]
    assert not second.is_usable


def test_corrections_and_acceptance_are_taken(store: Store, lease: Lease) -> None:
    page, region = store.database.rows.page, store.database.rows.region

    def review(session: object) -> None:
        run = session.execute  # type: ignore[attr-defined]
        first = select(page.id).where(page.page_number == 1).scalar_subquery()
        mended = {"reviewed_text": "# Order"}
        run(update(region).where(region.page_id == first, region.position == 0).values(mended))
        accepted = {"accepted_at": DatabaseTime()}
        run(update(page).where(page.page_number == 2).values(accepted))

    store.database.transaction(review)
    first, second = read(store).document.pages
    assert first.markdown == "# Order\n\n7"
    assert first.regions[0].confidence is None
    assert second.is_usable


def exports(store: Store) -> list[tuple[str, str]]:
    row = store.database.rows.export
    query = select(row.name, row.sha256).order_by(row.name)
    return store.database.transaction(
        lambda session: [(name, sha256) for name, sha256 in session.execute(query)]
    )


def test_a_corrected_region_leaves_the_others_as_they_are(store: Store, lease: Lease) -> None:
    rows = store.database.rows
    page, region = rows.page, rows.region
    of_first = (
        select(page.created_at, region.id)
        .join(region, region.page_id == page.id)
        .where(page.page_number == 1, region.position == 1)
    )
    created_at, region_id = store.database.transaction(
        lambda session: session.execute(of_first).one()
    )
    # More blocks than regions: the page's text alone would not say which region they are of.
    text = "7\n\n8"
    correct_region(store.database, region_id, text, by="ada", seen=Seen(created_at))
    stored = read_document(store.database, KEY)
    assert stored is not None
    first = stored.document.pages[0]
    assert first.markdown == f"# Oder\n\n{text}"
    assert first.is_corrected
    assert [each.text for each in first.regions] == ["# Oder", text]
    assert [each.is_corrected for each in first.regions] == [False, True]
    assert first.regions[0].confidence == 0.5


def test_rows_of_files_follow_the_files(store: Store, lease: Lease) -> None:
    picture = replace(FILE, kind="webp", page_number=1, name="page-0001.webp")
    write_exports(store.database, [(lease.document_id, [FILE, picture])])
    write_exports(store.database, [(lease.document_id, [replace(FILE, sha256="cd")])])
    assert exports(store) == [("document.txt", "cd")]


def test_a_document_that_was_deleted_meanwhile_gets_no_rows(store: Store, lease: Lease) -> None:
    document = store.database.rows.document
    store.database.transaction(lambda session: session.execute(delete(document)))
    write_exports(store.database, [(lease.document_id, [FILE])])
    assert exports(store) == []


def test_many_files_are_replaced_with_few_statements(store: Store, lease: Lease) -> None:
    def files(name: str) -> list[ExportedFile]:
        return [replace(FILE, name=f"{name}-{number}") for number in range(1_001)]

    statements: list[str] = []
    event.listen(
        store.database.engine, "before_cursor_execute", lambda *call: statements.append(call[2])
    )
    for name in ("old", "new"):
        write_exports(store.database, [(lease.document_id, files(name))])
    assert len(statements) < 20
    assert max(statement.count("?") for statement in statements) <= 500
    rows = store.database.rows.export
    names = store.database.transaction(lambda session: set(session.scalars(select(rows.name))))
    assert names == {file.name for file in files("new")}

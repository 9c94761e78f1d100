"""Pages of several documents in one transaction, each behind its own fence, on SQLite."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.results import DocumentStatus
from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.forget import forget
from airflow_deepseek_ocr.store.leases import LeaseLostError
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.pages.page_batches import Completion, DocumentPages, fence
from airflow_deepseek_ocr.store.pages.page_rows import MAX_TEXT
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow, RegionRow
from tests.support.fixtures.stored_documents import (
    CONFIG,
    OTHER,
    REF,
    TASK,
    claim,
    counts,
    failed,
    page,
    run_out,
)

REFS = [replace(REF, uri=f"s3://bucket/{number}.pdf") for number in range(3)]


def end(pages: int, **changes: str) -> Completion:
    return Completion(media_type="application/pdf", page_count=pages, pages=pages, **changes)


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store.database, CONFIG, TASK)


def statuses(store: Store) -> dict[str, str]:
    with Session(store.database.engine) as session:
        return dict(session.execute(select(DocumentRow.uri, DocumentRow.status)).all())


def test_documents_end_with_their_pages_in_one_transaction(store: Store, ledger: Ledger) -> None:
    leases = [claim(ledger, ref) for ref in REFS]
    commits = []
    event.listen(store.database.engine, "commit", commits.append)
    stored = ledger.write_documents(
        [
            DocumentPages(leases[2], (page(1, "c1"), page(2, "c2")), end(2)),
            DocumentPages(leases[0], (page(1, "a1"),), end(1)),
            DocumentPages(leases[1], (failed(1),)),
        ]
    )
    assert len(commits) == 1
    assert [each.result and each.result.status for each in stored] == [
        DocumentStatus.DONE,
        DocumentStatus.DONE,
        None,
    ]
    assert statuses(store) == {
        "s3://bucket/0.pdf": "done",
        "s3://bucket/1.pdf": "processing",
        "s3://bucket/2.pdf": "done",
    }
    assert [ledger.holds(lease) for lease in leases] == [False, True, False]
    assert counts(store) == (3, 4, 8)
    with Session(store.database.engine) as session:
        rows = session.execute(
            select(PageRow.document_id, PageRow.page_number, RegionRow.text)
            .join(RegionRow, RegionRow.page_id == PageRow.id)
            .where(RegionRow.position == 0)
        ).all()
    assert {(row.document_id, row.page_number): row.text for row in rows} == {
        (leases[2].document_id, 1): "c1",
        (leases[2].document_id, 2): "c2",
        (leases[0].document_id, 1): "a1",
        (leases[1].document_id, 1): "text",
    }


def test_a_page_is_stored_in_place_of_the_one_before(store: Store, ledger: Ledger) -> None:
    lease = claim(ledger)
    for content in ("first", "second"):
        ledger.write_documents([DocumentPages(lease, (page(1, content), page(2, content)))])
    assert counts(store) == (1, 2, 4)
    with Session(store.database.engine) as session:
        assert set(session.scalars(select(PageRow.text))) == {"second"}


def test_a_lost_lease_affects_its_document_only(store: Store, ledger: Ledger) -> None:
    mine, lost = claim(ledger, REFS[0]), claim(ledger, REFS[1])
    run_out(store)
    other = claim(Ledger(store.database, CONFIG, OTHER), REFS[1])
    stored = ledger.write_documents(
        [DocumentPages(lost, (page(1),), end(1)), DocumentPages(mine, (page(1),), end(1))]
    )
    assert [each.is_lost for each in stored] == [True, False]
    assert statuses(store) == {"s3://bucket/0.pdf": "done", "s3://bucket/1.pdf": "processing"}
    assert counts(store) == (2, 1, 2)
    assert not ledger.holds(lost)
    assert other.document_id == lost.document_id


def test_a_deleted_document_is_lost(store: Store, ledger: Ledger) -> None:
    lease = claim(ledger)
    (found,) = find(store.database, Selection())
    forget(store.database, found.document_key, force=True)
    (stored,) = ledger.write_documents([DocumentPages(lease, (page(1),), end(1))])
    assert stored.is_lost
    assert counts(store) == (0, 0, 0)


def test_a_document_does_not_end_without_all_its_rows(store: Store, ledger: Ledger) -> None:
    lease = claim(ledger)
    (stored,) = ledger.write_documents([DocumentPages(lease, (page(1),), end(2))])
    assert stored.is_lost
    assert statuses(store) == {REF.uri: "processing"}


def test_one_page_that_cannot_be_stored_fails_alone(store: Store, ledger: Ledger) -> None:
    first, second = claim(ledger, REFS[0]), claim(ledger, REFS[1])
    long = page(2, "x" * (MAX_TEXT + 1))
    stored = ledger.write_documents(
        [
            DocumentPages(first, (page(1), long), end(2)),
            DocumentPages(second, (page(1),), end(1)),
        ]
    )
    assert [each.error_code for each in stored[0].pages] == [None, "unstorable"]
    assert [each.result and each.result.status.value for each in stored] == ["partial", "done"]
    assert counts(store)[1] == 3


def test_a_document_without_missing_pages_ends(store: Store, ledger: Ledger) -> None:
    lease = claim(ledger)
    ledger.write_page(lease, page(1))
    (stored,) = ledger.write_documents([DocumentPages(lease, (), end(1, note="a note"))])
    assert stored.result is not None
    assert (stored.result.status, stored.result.error) == (DocumentStatus.DONE, "a note")


def test_the_fence_refuses_another_token(store: Store, ledger: Ledger) -> None:
    lease = claim(ledger)

    def refused(session: Session) -> None:
        fence(session, store.database.rows, lease)
        with pytest.raises(LeaseLostError):
            fence(session, store.database.rows, replace(lease, token="another"))

    store.database.transaction(refused)

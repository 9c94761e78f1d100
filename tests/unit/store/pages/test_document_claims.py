"""Claims of several documents in one transaction, on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.leases import (
    DEFAULT_LEASE,
    AlreadyFinal,
    Claimed,
    Lease,
    LeasedByAnother,
)
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.pages.document_claims import Claim, Claimant, claim_documents
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.row_values import TaskInfo
from airflow_deepseek_ocr.store.tables import DocumentRow
from tests.support.fixtures.stored_documents import (
    CONFIG,
    OTHER,
    REF,
    TASK,
    claim,
    counts,
    page,
    read,
    run_out,
)

REFS = [replace(REF, uri=f"s3://bucket/{number}.pdf") for number in range(6)]


def claim_all(
    store: Store, claims: Sequence[Claim], task: TaskInfo = TASK
) -> tuple[list[Claimed], list[str]]:
    """Claim documents together; return the outcomes and the statements."""
    claimant = Claimant(task, CONFIG, DEFAULT_LEASE)
    statements: list[str] = []

    def note(*arguments: object) -> None:
        statements.append(str(arguments[2]).split()[0])

    event.listen(store.database.engine, "before_cursor_execute", note)
    try:
        claimed = store.database.transaction(
            lambda session: claim_documents(session, store.database.rows, claimant, claims)
        )
    finally:
        event.remove(store.database.engine, "before_cursor_execute", note)
    return claimed, [each for each in statements if each != "BEGIN"]


def uris(store: Store) -> dict[int, str]:
    with Session(store.database.engine) as session:
        found = session.execute(select(DocumentRow.id, DocumentRow.uri)).tuples()
        return dict(iter(found))


def rows_with(store: Store, token: str) -> list[DocumentRow]:
    with Session(store.database.engine) as session:
        return list(session.scalars(select(DocumentRow).where(DocumentRow.lease_token == token)))


def test_new_documents_are_looked_for_at_once_and_each_has_its_own_row(store: Store) -> None:
    claims = [Claim.of(ref) for ref in REFS]
    claimed, statements = claim_all(store, claims)
    assert statements.count("SELECT") == 1
    by_id = uris(store)
    for each, outcome in zip(claims, claimed, strict=True):
        assert isinstance(outcome, Lease)
        assert (by_id[outcome.document_id], outcome.token) == (each.ref.uri, each.token)
        (row,) = rows_with(store, each.token)
        assert (row.id, row.claims, row.status, row.dag_id) == (
            outcome.document_id,
            1,
            "processing",
            "dag",
        )
        assert row.lease_expires_at is not None


def test_each_claim_has_its_own_outcome(store: Store) -> None:
    mine, other = (Ledger(store.database, CONFIG, task) for task in (TASK, OTHER))
    read(mine, page(1), ref=REFS[0])
    claim(other, REFS[1])
    read(other, page(1), ref=REFS[3])
    claims = [Claim.of(ref) for ref in REFS[:3]] + [Claim.of(REFS[3], overwrite=True)]
    (done, leased, new, again), _ = claim_all(store, claims)
    assert isinstance(done, AlreadyFinal)
    assert done.by_us is not None
    assert leased == LeasedByAnother("dag, another run, task[3], try 1")
    assert isinstance(new, Lease)
    assert isinstance(again, Lease)
    assert again.final_pages == frozenset()
    (row,) = rows_with(store, claims[3].token)
    assert (row.uri, row.claims, row.run_id) == (REFS[3].uri, 2, "run")


def test_expired_leases_are_reclaimed_with_the_pages_that_are_final(store: Store) -> None:
    other = Ledger(store.database, CONFIG, OTHER)
    for ref in REFS[:2]:
        other.write_page(claim(other, ref), page(2))
    run_out(store)
    claimed, _ = claim_all(store, [Claim.of(ref) for ref in REFS[:3]])
    assert [each.final_pages for each in claimed if isinstance(each, Lease)] == [{2}, {2}, set()]


def test_claims_that_are_repeated_have_the_same_outcome(store: Store) -> None:
    """A commit whose answer was lost is followed by the same transaction again."""
    claims = [Claim.of(ref) for ref in REFS]
    first, _ = claim_all(store, claims)
    assert claim_all(store, claims)[0] == first
    assert counts(store)[0] == len(REFS)


def test_a_claim_among_others_is_the_only_one_that_a_conflict_undoes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another task inserts a row between this one's look and its insert: the transaction is repeated."""
    from airflow_deepseek_ocr.store.pages import document_claims

    look, looks = document_claims._lock, []

    def overlook(*arguments: object) -> object:
        looks.append(arguments)
        return {} if len(looks) == 1 else look(*arguments)  # type: ignore[arg-type]

    claim(Ledger(store.database, CONFIG, OTHER), REFS[2])
    monkeypatch.setattr(document_claims, "_lock", overlook)
    claimed, _ = claim_all(store, [Claim.of(ref) for ref in REFS])
    assert len(looks) == 2
    assert [type(each) for each in claimed].count(Lease) == 5
    assert isinstance(claimed[2], LeasedByAnother)
    assert counts(store)[0] == len(REFS)


def test_the_key_of_a_claim_is_its_document_version() -> None:
    newer: DocumentRef = replace(REF, version="v2")
    assert Claim.of(REF).key() == Claim.of(REF, overwrite=True).key() != Claim.of(newer).key()
    assert Claim.of(REF).token != Claim.of(REF).token

"""Claims of several documents in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import itemgetter
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig, document_key
from airflow_deepseek_ocr.ocr.results import DocumentResult, DocumentStatus
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.leases import (
    AlreadyFinal,
    Claimed,
    Lease,
    LeasedByAnother,
    is_final,
    is_leased,
    owner_of,
)
from airflow_deepseek_ocr.store.pages.inserts import Inserts
from airflow_deepseek_ocr.store.pages.page_rows import results_of_pages
from airflow_deepseek_ocr.store.row_values import TaskInfo, document_values
from airflow_deepseek_ocr.store.tables import PROCESSING, Rows


@dataclass(frozen=True)
class Claimant:
    """The task that claims documents.

    :param task: the task instance, as rows have it.
    :param config: its processing configuration.
    :param lease: duration of a lease.
    """

    task: TaskInfo
    config: ProcessingConfig
    lease: timedelta

    def is_owner_of(self, row: Row[Any]) -> bool:
        """Return whether the same task instance claimed the row, possibly in an earlier try."""
        task = self.task
        return task.dag_id is not None and (
            (row.dag_id, row.run_id, row.task_id, row.map_index)
            == (task.dag_id, task.run_id, task.task_id, task.map_index)
        )


@dataclass(frozen=True)
class Claim:
    """A claim of a document version.

    :param ref: the document.
    :param token: of the lease; the same when the transaction is repeated.
    :param overwrite: claim a document that is final too, unless this task instance stored it.
    """

    ref: DocumentRef
    token: str
    overwrite: bool = False

    @classmethod
    def of(cls, ref: DocumentRef, *, overwrite: bool = False) -> Claim:
        """Return a claim with a new token."""
        return cls(ref, secrets.token_hex(16), overwrite)

    def key(self) -> str:
        """Return what two claims in one transaction must differ in."""
        return self.ref.version_key


def claim_documents(
    session: Session, rows: Rows, claimant: Claimant, claims: Sequence[Claim]
) -> list[Claimed]:
    """Lease documents within a transaction, except those that are final or leased by other tasks.

    :param rows: the mapped classes of the tables.
    :param claims: of different document versions.
    :return: the outcome of each claim.
    """
    keys = [document_key(claim.ref, claimant.config) for claim in claims]
    found = _lock(session, rows, keys)
    now: dict[str, Any] = {
        "lease_expires_at": DatabaseTime(claimant.lease),
        "updated_at": DatabaseTime(),
    }
    # In the same order in all tasks, so that transactions do not wait for each other in a circle.
    new = sorted(
        ((key, claim) for key, claim in zip(keys, claims, strict=True) if key not in found),
        key=itemgetter(0),
    )
    values = [
        document_values(claim.ref, claimant.config) | _owner(claimant, claim) | {"claims": 1}
        for _, claim in new
    ]
    ids = Inserts(session).with_ids(rows.document, values, created_at=DatabaseTime(), **now)
    claimed: dict[str, Claimed] = {
        key: Lease(document_id, claim.token)
        for document_id, (key, claim) in zip(ids, new, strict=True)
    }
    for key, claim in zip(keys, claims, strict=True):
        if key in found:
            claimed[key] = _claim_again(session, rows, claimant, claim, found[key], now)
    return [claimed[key] for key in keys]


def _owner(claimant: Claimant, claim: Claim) -> dict[str, Any]:
    return vars(claimant.task) | {
        "status": PROCESSING,
        "retryable": False,
        "lease_token": claim.token,
    }


def _lock(session: Session, rows: Rows, keys: Sequence[str]) -> dict[str, Row[Any]]:
    """Lock the rows of documents in the order of their ids until the transaction ends; return them by key."""
    table = rows.document.__table__
    statement = (
        select(table, DatabaseTime().label("now"))
        .where(table.c.document_key.in_(keys))
        .order_by(table.c.id)
        .with_for_update()
    )
    return {row.document_key: row for row in session.execute(statement)}


def _claim_again(
    session: Session,
    rows: Rows,
    claimant: Claimant,
    claim: Claim,
    row: Row[Any],
    now: Mapping[str, Any],
) -> Claimed:
    """Claim a document that has a row."""
    ours, task, overwrite = claimant.is_owner_of(row), claimant.task, claim.overwrite
    document, page = rows.document, rows.page
    # An equal token: this claim was committed, and the connection broke before its answer.
    if row.lease_token != claim.token:
        if is_leased(row):
            if not (ours and (row.try_number or 0) <= (task.try_number or 0)):
                return LeasedByAnother(owner_of(row))
        elif is_final(row) and (ours or not overwrite):
            by_us = _result_of_row(session, rows, row) if ours else None
            return AlreadyFinal(by_us, row.id)
        if overwrite and not ours:
            session.execute(update(page).where(page.document_id == row.id).values(is_final=False))
        again = {"claims": row.claims + 1, "error_code": None, "error": None}
        session.execute(
            update(document)
            .where(document.id == row.id)
            .values(_owner(claimant, claim) | dict(now) | again)
        )
    final = session.scalars(
        select(page.page_number).where(page.document_id == row.id, page.is_final)
    )
    return Lease(row.id, claim.token, frozenset(final))


def _result_of_row(session: Session, rows: Rows, row: Row[Any]) -> DocumentResult:
    pages = results_of_pages(session, rows, [row.id])[row.id]
    return DocumentResult(
        DocumentStatus(row.status),
        pages=pages.pages,
        failed_pages=pages.failed_pages,
        error_code=row.error_code,
        error=row.error,
        retryable=row.retryable,
    )

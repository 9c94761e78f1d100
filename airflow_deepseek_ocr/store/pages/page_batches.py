"""Pages of several documents in one transaction, each document behind its own fence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.results import DocumentResult, DocumentStatus, PageResult
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.leases import Lease, LeaseLostError
from airflow_deepseek_ocr.store.pages.page_rows import results_of_pages, store_pages
from airflow_deepseek_ocr.store.row_values import error_values, fit
from airflow_deepseek_ocr.store.tables import DocumentRow, Rows


@dataclass(frozen=True, kw_only=True)
class Completion:
    """Values of a document's row when its last page is stored.

    :param media_type: the document's type, detected from its content.
    :param page_count: number of pages in the document.
    :param pages: number of pages selected; each has a row.
    :param note: content that was not read; stored as the error of a document that has none.
    """

    media_type: str
    page_count: int
    pages: int
    note: str | None = None


@dataclass(frozen=True)
class DocumentPages:
    """Pages of one document, to be stored together.

    :param lease: the right to write them.
    :param pages: their results.
    :param completion: what ends the document; None if pages are missing yet.
    """

    lease: Lease
    pages: tuple[PageResult, ...]
    completion: Completion | None = None


@dataclass(frozen=True)
class StoredPages:
    """The stored part of a document.

    :param pages: the pages as stored.
    :param result: the document's outcome; None if it did not end.
    :param is_lost: whether nothing was stored, because the lease was lost.
    """

    pages: tuple[PageResult, ...] = ()
    result: DocumentResult | None = None
    is_lost: bool = False


def leased_by(rows: Rows, lease: Lease) -> Any:
    """Return the condition that a document's row has the token of a lease.

    :param rows: the mapped classes of the tables.
    """
    return (rows.document.id == lease.document_id) & (rows.document.lease_token == lease.token)


def fence(session: Session, rows: Rows, lease: Lease) -> None:
    """Lock the document's row until the transaction ends, if its token is still the lease's.

    An expired lease is valid until another task reclaims the document.

    :param rows: the mapped classes of the tables.
    :raises LeaseLostError: ``lease_lost``.
    """
    row = select(rows.document.id).where(leased_by(rows, lease)).with_for_update()
    if session.scalar(row) is None:
        raise LeaseLostError


def end_document(
    session: Session, rows: Rows, lease: Lease, result: DocumentResult, **values: Any
) -> None:
    """Write a document's outcome and release its lease.

    :param rows: the mapped classes of the tables.
    :param result: the outcome.
    :param values: further columns of ``ocr_documents``.
    :raises LeaseLostError: ``lease_lost``.
    """
    # The token stays: if the answer to the commit is lost, the same end is written again.
    # The table instead of the mapped class: the session has no objects to keep up with it.
    document: Any = rows.document.__table__
    ended = session.execute(
        update(document)
        .where(document.c.id == lease.document_id, document.c.lease_token == lease.token)
        .values(
            status=result.status.value,
            retryable=result.retryable,
            **error_values(result.error_code, result.error),
            lease_expires_at=None,
            updated_at=DatabaseTime(),
            **fit(DocumentRow, values),
        )
    )
    if ended.rowcount == 0:  # type: ignore[attr-defined]
        raise LeaseLostError


def complete_document(
    session: Session, rows: Rows, lease: Lease, completion: Completion
) -> DocumentResult:
    """Set a document's status from its stored pages and release its lease, behind its fence.

    :param rows: the mapped classes of the tables.
    :return: the outcome.
    :raises LeaseLostError: ``lease_lost``; rows of pages were deleted.
    """
    result = results_of_pages(session, rows, [lease.document_id])[lease.document_id]
    if result.pages != completion.pages:
        raise LeaseLostError
    result = replace(result, error=result.error or completion.note)
    _end_documents(session, rows, [(lease, completion, result)])
    return result


def _end_documents(
    session: Session, rows: Rows, ended: Sequence[tuple[Lease, Completion, DocumentResult]]
) -> None:
    """Write the outcomes of documents that are locked, and release their leases.

    :param rows: the mapped classes of the tables.
    """
    document: Any = rows.document.__table__
    for is_failed, those in groupby(sorted(ended, key=_has_failed), key=_has_failed):
        session.execute(
            update(document)
            .where(
                document.c.id == bindparam("ended_id"),
                document.c.lease_token == bindparam("ended_token"),
            )
            .values(
                lease_expires_at=None,
                updated_at=DatabaseTime(),
                finished_at=None if is_failed else DatabaseTime(),
            ),
            [
                {"ended_id": lease.document_id, "ended_token": lease.token}
                | fit(
                    DocumentRow,
                    {
                        "status": result.status.value,
                        "retryable": result.retryable,
                        **error_values(result.error_code, result.error),
                        "media_type": completion.media_type,
                        "page_count": completion.page_count,
                    },
                )
                for lease, completion, result in those
            ],
        )


def _has_failed(ended: tuple[Lease, Completion, DocumentResult]) -> bool:
    return ended[2].status is DocumentStatus.FAILED


def write_documents(
    session: Session, rows: Rows, documents: Sequence[DocumentPages]
) -> list[StoredPages]:
    """Store pages of documents within a transaction, and end the documents that are complete.

    A lost lease affects its document only.

    :param rows: the mapped classes of the tables.
    :raises UnstorableError: the database does not take the data of a page; the transaction must not be
        committed.
    """
    # In the order in which leases are renewed, so that transactions do not wait for each other in a circle.
    order = sorted(range(len(documents)), key=lambda number: documents[number].lease.document_id)
    tokens = _lock(session, rows, [documents[number].lease.document_id for number in order])
    held = [
        number
        for number in order
        if tokens.get(documents[number].lease.document_id) == documents[number].lease.token
    ]
    pages = [
        (documents[number].lease.document_id, page)
        for number in held
        for page in documents[number].pages
    ]
    if pages:
        store_pages(session, rows, pages)
    complete = [
        documents[number].lease.document_id
        for number in held
        if documents[number].completion is not None
    ]
    results = results_of_pages(session, rows, complete) if complete else {}
    stored = [StoredPages(is_lost=True) for _ in documents]
    ended = []
    for number in held:
        document, end = documents[number], documents[number].completion
        result = results.get(document.lease.document_id)
        if end is None or result is None:
            stored[number] = StoredPages(document.pages)
        elif result.pages == end.pages:  # otherwise rows of pages were deleted
            result = replace(result, error=result.error or end.note)
            ended.append((document.lease, end, result))
            stored[number] = StoredPages(document.pages, result)
    _end_documents(session, rows, ended)
    return stored


def _lock(session: Session, rows: Rows, document_ids: Sequence[int]) -> dict[int, str | None]:
    """Lock rows of documents in the order of their ids until the transaction ends; return their tokens."""
    document = rows.document.__table__.c
    statement = (
        select(document.id, document.lease_token)
        .where(document.id.in_(document_ids))
        .order_by(document.id)
        .with_for_update()
    )
    return {row.id: row.lease_token for row in session.execute(statement)}

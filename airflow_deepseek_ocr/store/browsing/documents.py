"""Lists of documents, newest first, by parts of their names or of their text."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.results import PageStatus
from airflow_deepseek_ocr.store.browsing.filters import DocumentFilter
from airflow_deepseek_ocr.store.tables import Rows

#: Columns of a document in a list.
LISTED = (
    "id",
    "uri",
    "status",
    "error_code",
    "error",
    "media_type",
    "page_count",
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "created_at",
    "updated_at",
    "finished_at",
)
#: Documents whose text is searched in one statement.
_WINDOW = 500


@dataclass(frozen=True)
class Listing:
    """Some documents, newest first.

    :param documents: columns of ``ocr_documents``, and figures of their pages.
    :param next_before: the id before which the next ones are; None after the last.
    :param is_partial: whether a search in text ended early, so that there may be more before ``next_before``
        although fewer were found than asked for.
    """

    documents: list[dict[str, Any]]
    next_before: int | None
    is_partial: bool = False


def list_documents(
    session: Session, rows: Rows, wanted: DocumentFilter, *, before: int | None, limit: int
) -> Listing:
    """Return documents whose names match, newest first.

    :param before: only documents with a smaller id.
    :param limit: how many at most.
    """
    document = rows.document
    query = select(*(getattr(document, name) for name in LISTED)).where(
        *wanted.conditions(document)
    )
    if before is not None:
        query = query.where(document.id < before)
    query = query.order_by(document.id.desc()).limit(limit + 1)
    found = [dict(row) for row in session.execute(query).mappings()]
    return _with_pages(session, rows, found[:limit], len(found) > limit)


def search_text(
    session: Session,
    rows: Rows,
    wanted: DocumentFilter,
    text: str,
    *,
    before: int | None,
    limit: int,
    budget_s: float,
) -> Listing:
    """Return documents with a text in their pages or names, newest first.

    Text has no index that finds parts of words in every database. The search therefore reads the pages of
    some hundred documents at a time, and ends after a time: the caller continues it with ``next_before``.

    :param wanted: its name does not count.
    :param text: part of the text or name, in any case.
    :param before: only documents with a smaller id.
    :param limit: how many at most.
    :param budget_s: seconds after which it ends.
    """
    deadline = time.monotonic() + budget_s
    document = rows.document
    columns = [getattr(document, name) for name in LISTED]
    conditions = wanted.conditions(document, names=False)
    found: list[dict[str, Any]] = []
    while True:
        query = select(*columns).where(*conditions)
        if before is not None:
            query = query.where(document.id < before)
        query = query.order_by(document.id.desc()).limit(_WINDOW)
        window = [dict(row) for row in session.execute(query).mappings()]
        having = _with_text(session, rows, [row["id"] for row in window], text)
        for row in window:
            if row["id"] not in having:
                continue
            if len(found) == limit:
                return _with_pages(session, rows, found, True)
            found.append(row)
        if len(window) < _WINDOW:
            return _with_pages(session, rows, found, False)
        before = window[-1]["id"]
        if time.monotonic() > deadline:
            listing = _with_pages(session, rows, found, False)
            return Listing(listing.documents, before, is_partial=True)


def _with_text(session: Session, rows: Rows, ids: Sequence[int], text: str) -> set[int]:
    if not ids:
        return set()
    document, page = rows.document, rows.page
    in_pages = (
        select(page.document_id)
        .where(page.document_id.in_(ids), or_(*_matches(rows, text)))
        .distinct()
    )
    in_names = select(document.id).where(
        document.id.in_(ids), document.uri.icontains(text, autoescape=True)
    )
    return {*session.scalars(in_pages), *session.scalars(in_names)}


def _matches(rows: Rows, text: str) -> list[Any]:
    page = rows.page
    return [
        page.markdown.icontains(text, autoescape=True),
        page.reviewed_text.icontains(text, autoescape=True),
    ]


def _with_pages(
    session: Session, rows: Rows, documents: list[dict[str, Any]], more: bool
) -> Listing:
    """Add the figures of the pages: how many are stored, how many failed, and the lowest score."""
    page = rows.page
    failed = func.sum(case((page.status == PageStatus.FAILED, 1), else_=0))
    query = (
        select(page.document_id, func.count(), failed, func.min(page.score))
        .where(page.document_id.in_([each["id"] for each in documents]))
        .group_by(page.document_id)
    )
    figures = {row[0]: row[1:] for row in session.execute(query)} if documents else {}
    for each in documents:
        pages, failures, score = figures.get(each["id"], (0, 0, None))
        each |= {"pages": pages, "failed_pages": int(failures), "lowest_score": score}
    return Listing(documents, documents[-1]["id"] if more else None)

"""Pages that a person should review, the worst first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session, aliased

from airflow_deepseek_ocr.ocr.results import DocumentStatus, PageStatus
from airflow_deepseek_ocr.store.browsing.details import from_json
from airflow_deepseek_ocr.store.browsing.filters import DocumentFilter
from airflow_deepseek_ocr.store.tables import Rows

#: Column that says how bad a page is; each has an index.
Order = Literal["score", "confidence"]

#: The largest id that all databases' columns have.
_MAX_ID = 2**63 - 1

_DOCUMENT = ("uri", "dag_id")
_PAGE = ("id", "document_id", "page_number", "status", "score", "confidence", "flags", "error_code")


@dataclass(frozen=True)
class QueuePlace:
    """A place in the queue: after this page.

    :param value: its score or confidence; None for a page without one, which is before all others.
    :param page_id: id of its row.
    """

    value: float | None
    page_id: int

    @classmethod
    def parse(cls, text: str) -> QueuePlace:
        """Return the place of a text that :meth:`__str__` made.

        :raises ValueError: it is another text.
        """
        value, _, page_id = text.partition("_")
        place = cls(float(value) if value else None, int(page_id))
        is_number = place.value is None or math.isfinite(place.value)
        if not is_number or not 0 <= place.page_id <= _MAX_ID:
            raise ValueError(f"{text!r} is no place in the queue")
        return place

    def __str__(self) -> str:
        value = "" if self.value is None else repr(self.value)
        return f"{value}_{self.page_id}"


def review_queue(
    session: Session,
    rows: Rows,
    wanted: DocumentFilter,
    *,
    order: Order,
    below: float,
    after: QueuePlace | None,
    limit: int,
) -> tuple[list[dict[str, Any]], QueuePlace | None]:
    """Return pages that no person has corrected or accepted, of the newest results of their documents.

    Pages that failed without any output come first, then the others by rising score or confidence.

    :param order: the value that counts.
    :param below: pages with a smaller value need a review.
    :param after: the place of the last page before.
    :param limit: how many at most.
    :return: the pages, and the place after which the next ones are; None after the last.
    """
    found: list[dict[str, Any]] = []
    if after is None or after.value is None:
        found = _without_value(session, rows, wanted, order, after, limit + 1)
        after = None
    if len(found) <= limit:
        found += _by_value(session, rows, wanted, order, below, after, limit + 1 - len(found))
    for each in found:
        each["flags"] = from_json(each["flags"])
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], QueuePlace(last[order], last["id"])


def _without_value(
    session: Session,
    rows: Rows,
    wanted: DocumentFilter,
    order: Order,
    after: QueuePlace | None,
    limit: int,
) -> list[dict[str, Any]]:
    page = rows.page
    conditions = [getattr(page, order).is_(None), page.status == PageStatus.FAILED]
    if after is not None:
        conditions.append(page.id > after.page_id)
    query = _query(rows, wanted).where(*conditions).order_by(page.id).limit(limit)
    return [dict(row) for row in session.execute(query).mappings()]


def _by_value(
    session: Session,
    rows: Rows,
    wanted: DocumentFilter,
    order: Order,
    below: float,
    after: QueuePlace | None,
    limit: int,
) -> list[dict[str, Any]]:
    page, value = rows.page, getattr(rows.page, order)
    query = _query(rows, wanted).where(value < below)
    if after is not None:
        same = and_(value == after.value, page.id > after.page_id)
        query = query.where(value >= after.value, or_(value > after.value, same))
    query = query.order_by(value, page.id).limit(limit)
    return [dict(row) for row in session.execute(query).mappings()]


def _query(rows: Rows, wanted: DocumentFilter) -> Any:
    document, page = rows.document, rows.page
    newer = aliased(document)
    is_replaced = exists().where(
        newer.uri == document.uri,
        newer.config_key == document.config_key,
        newer.id > document.id,
        newer.status.in_((DocumentStatus.DONE, DocumentStatus.PARTIAL)),
    )
    return (
        select(
            *(getattr(page, name) for name in _PAGE),
            *(getattr(document, name) for name in _DOCUMENT),
        )
        .join(document, document.id == page.document_id)
        .where(
            *wanted.conditions(document),
            page.accepted_at.is_(None),
            page.reviewed_at.is_(None),
            ~is_replaced,
        )
    )

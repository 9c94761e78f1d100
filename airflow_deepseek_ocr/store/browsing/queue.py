"""Pages that a person should review, the worst first."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.results import PageStatus
from airflow_deepseek_ocr.store.browsing.current import current_documents
from airflow_deepseek_ocr.store.browsing.details import from_json
from airflow_deepseek_ocr.store.browsing.filters import DocumentFilter
from airflow_deepseek_ocr.store.tables import Rows

#: Column that says how bad a page is; each has an index.
Order = Literal["score", "confidence"]

#: Pages that are compared with the current versions in one statement. Each of them may be of another URI.
_WINDOW = 200
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
    budget_s: float,
) -> tuple[list[dict[str, Any]], QueuePlace | None]:
    """Return pages that no person has corrected or accepted, of the current versions of their documents.

    Pages that failed without any output come first, then the others by rising score or confidence. The view
    of current versions ranks all rows unless it is asked for some URIs. So pages are compared with it some
    hundred at a time, and the search ends after a time: the caller continues it from the place.

    :param order: the value that counts.
    :param below: pages with a smaller value need a review.
    :param after: the place of the last page before.
    :param limit: how many at most.
    :param budget_s: seconds after which it ends.
    :return: the pages, and the place after which there may be more; None after the last.
    """
    deadline = time.monotonic() + budget_s
    found: list[dict[str, Any]] = []
    for window in _windows(session, rows, wanted, order, below, after):
        current = current_documents(session, rows, {each["uri"] for each in window})
        for each in window:
            if each["document_id"] not in current:
                continue
            if len(found) == limit:
                return found, _place(found[-1], order)
            found.append({**each, "flags": from_json(each["flags"])})
        if time.monotonic() > deadline:
            return found, _place(window[-1], order)
    return found, None


def _place(page: dict[str, Any], order: Order) -> QueuePlace:
    return QueuePlace(page[order], page["id"])


def _windows(
    session: Session,
    rows: Rows,
    wanted: DocumentFilter,
    order: Order,
    below: float,
    after: QueuePlace | None,
) -> Iterator[list[dict[str, Any]]]:
    """Yield the pages of all versions in the order of the queue, some at a time."""

    def without_value(place: QueuePlace | None) -> Any:
        return _without_value(rows, wanted, order, place)

    def by_value(place: QueuePlace | None) -> Any:
        return _by_value(rows, wanted, order, below, place)

    parts: list[Callable[[QueuePlace | None], Any]] = [by_value]
    if after is None or after.value is None:
        parts.insert(0, without_value)
    for part in parts:
        place = after if part is parts[0] else None
        while True:
            query = part(place).limit(_WINDOW)
            window = [dict(row) for row in session.execute(query).mappings()]
            if window:
                yield window
            if len(window) < _WINDOW:
                break
            place = _place(window[-1], order)


def _without_value(
    rows: Rows, wanted: DocumentFilter, order: Order, after: QueuePlace | None
) -> Any:
    page = rows.page
    conditions = [getattr(page, order).is_(None), page.status == PageStatus.FAILED]
    if after is not None:
        conditions.append(page.id > after.page_id)
    return _query(rows, wanted).where(*conditions).order_by(page.id)


def _by_value(
    rows: Rows, wanted: DocumentFilter, order: Order, below: float, after: QueuePlace | None
) -> Any:
    page, value = rows.page, getattr(rows.page, order)
    query = _query(rows, wanted).where(value < below)
    if after is not None:
        same = and_(value == after.value, page.id > after.page_id)
        query = query.where(value >= after.value, or_(value > after.value, same))
    return query.order_by(value, page.id)


def _query(rows: Rows, wanted: DocumentFilter) -> Any:
    document, page = rows.document, rows.page
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
        )
    )

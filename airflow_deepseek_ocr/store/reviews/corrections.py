"""A person's corrections of pages and regions, stored beside the model's text.

Each function takes the state that the person saw, and changes nothing if the page has been read again, or
reviewed by another person, in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.exceptions import ConfigurationError, DeepSeekOCRError, ErrorCode
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.pages.inserts import Inserts
from airflow_deepseek_ocr.store.pages.page_rows import MAX_TEXT
from airflow_deepseek_ocr.store.pages.table_rows import PageText, insert_tables
from airflow_deepseek_ocr.store.reviews.corrected_text import (
    ReviewedRegion,
    are_lines,
    compose,
    is_corrected_as_a_whole,
    texts_with_tables,
)
from airflow_deepseek_ocr.store.row_values import fit
from airflow_deepseek_ocr.store.tables import PageRow, RegionRow, Rows


class ReviewConflictError(DeepSeekOCRError):
    """The page is not the one that the person saw; the code is ``review_conflict``."""

    def __init__(self, reason: str) -> None:
        super().__init__(ErrorCode.REVIEW_CONFLICT, f"Nothing was changed: {reason}")

    def __reduce__(self) -> tuple[Any, ...]:
        return DeepSeekOCRError, (self.code, str(self))


@dataclass(frozen=True)
class Seen:
    """The state of a page or region that a person saw.

    :param created_at: ``created_at`` of the page. A page that is read again has another one.
    :param reviewed_at: ``reviewed_at`` of the page or region that is corrected; None without a correction.
    """

    created_at: datetime
    reviewed_at: datetime | None = None


@dataclass(frozen=True)
class Review:
    """The review of a page after a change.

    :param page_id: row of the page.
    :param reviewed_text: its corrected Markdown; None without a correction.
    :param reviewed_by: who corrected it last.
    :param reviewed_at: when.
    :param accepted_by: who accepted it.
    :param accepted_at: when.
    """

    page_id: int
    reviewed_text: str | None
    reviewed_by: str | None
    reviewed_at: datetime | None
    accepted_by: str | None
    accepted_at: datetime | None


def correct_page(
    database: Database, page_id: int, text: str | None, *, by: str, seen: Seen
) -> Review:
    """Store a person's text of a whole page.

    :param database: with the tables in place.
    :param page_id: row of the page that the person saw.
    :param text: Markdown; None takes the correction back. Corrected regions stay as they are.
    :param by: the person.
    :param seen: the page that the person saw.
    :raises ReviewConflictError: ``review_conflict``.
    :raises ConfigurationError: ``argument`` if the text is too long.
    :raises DatabaseError: ``database_unavailable``, ``database_rights``.
    """
    _require_short(text)

    def work(session: Session, page: _Page) -> Review:
        _require_unchanged(page.row.reviewed_at, seen)
        reviewed = page.composed() if text is None else text
        page.set_text(session, reviewed, by)
        return page.finish(session)

    return _change(database, page_id, seen, work)


def correct_region(
    database: Database, region_id: int, text: str | None, *, by: str, seen: Seen
) -> Review:
    """Store a person's text of a region, and the Markdown of its page with it.

    :param database: with the tables in place.
    :param region_id: row of the region that the person saw.
    :param text: in the same markup as the model's; None takes the correction back.
    :param by: the person.
    :param seen: the page and region that the person saw.
    :return: the review of its page.
    :raises ReviewConflictError: ``review_conflict``, also if the page was corrected as a whole.
    :raises ConfigurationError: ``argument`` if the text is too long.
    :raises DatabaseError: ``database_unavailable``, ``database_rights``.
    """
    _require_short(text)
    region = database.rows.region
    page_of = select(region.page_id).where(region.id == region_id)

    def work(session: Session, page: _Page) -> Review:
        row = session.execute(
            select(region.position, region.reviewed_at).where(region.id == region_id)
        ).one_or_none()
        if row is None:
            raise _read_again()
        _require_unchanged(row.reviewed_at, seen)
        if page.is_whole(page.row.reviewed_text):
            raise ReviewConflictError(
                "the text of the page was corrected as a whole. Correct it there, or take that correction "
                "back first."
            )
        session.execute(
            update(region).where(region.id == region_id).values(_review(RegionRow, text, by))
        )
        page.load_regions(session)
        page.set_text(session, page.composed(), by)
        return page.finish(session)

    page_id = database.transaction(lambda session: session.scalar(page_of))
    return _change(database, page_id, seen, work)


def accept_page(
    database: Database,
    page_id: int,
    *,
    by: str,
    seen: Seen,
    is_accepted: bool = True,
) -> Review:
    """Store that a person has found a page good as it is, or take that back.

    :param database: with the tables in place.
    :param page_id: row of the page that the person saw.
    :param by: the person.
    :param seen: the page that the person saw.
    :param is_accepted: False to take it back.
    :raises ReviewConflictError: ``review_conflict``.
    :raises DatabaseError: ``database_unavailable``, ``database_rights``.
    """
    page_row = database.rows.page

    def work(session: Session, page: _Page) -> Review:
        _require_unchanged(page.row.reviewed_at, seen)
        values: dict[str, Any] = {"accepted_by": None, "accepted_at": None}
        if is_accepted:
            values = fit(PageRow, {"accepted_by": by}) | {"accepted_at": DatabaseTime()}
        session.execute(update(page_row).where(page_row.id == page_id).values(values))
        return _read_review(session, database.rows, page_id)

    return _change(database, page_id, seen, work)


class _Page:
    """A page within a transaction that has locked its document."""

    def __init__(self, session: Session, rows: Rows, row: Any) -> None:
        self._rows, self.row = rows, row
        self._are_lines = are_lines(row.prompt, row.status)
        self.load_regions(session)

    def load_regions(self, session: Session) -> None:
        region = self._rows.region
        query = (
            select(region.position, region.label, region.text, region.reviewed_text)
            .where(region.page_id == self.row.id)
            .order_by(region.position)
        )
        self.regions = [ReviewedRegion(*each) for each in session.execute(query)]

    def composed(self) -> str | None:
        """Return the Markdown of the page with its corrected regions; None without any."""
        return compose(self.regions, are_lines=self._are_lines)

    def is_whole(self, reviewed_text: str | None) -> bool:
        """Return whether a corrected text of the page is more than its corrected regions."""
        return is_corrected_as_a_whole(reviewed_text, self.regions, are_lines=self._are_lines)

    def set_text(self, session: Session, text: str | None, by: str) -> None:
        page = self._rows.page
        session.execute(
            update(page).where(page.id == self.row.id).values(_review(PageRow, text, by))
        )

    def finish(self, session: Session) -> Review:
        """Store the tables of the corrected text, and return the review."""
        table = self._rows.table
        review = _read_review(session, self._rows, self.row.id)
        whole = review.reviewed_text if self.is_whole(review.reviewed_text) else None
        texts = texts_with_tables(self.regions, whole, self.row.status)
        session.execute(delete(table).where(table.page_id == self.row.id))
        insert_tables(
            Inserts(session), self._rows, (PageText(self.row.id, *text) for text in texts)
        )
        return review


def _change(
    database: Database, page_id: int | None, seen: Seen, work: Callable[[Session, _Page], Review]
) -> Review:
    """Run ``work`` in a transaction that tasks which read the document wait for."""
    document, page, *_ = database.rows

    def run(session: Session) -> Review:
        owner = select(page.document_id).where(page.id == page_id)
        session.execute(
            select(document.id).where(document.id.in_(owner)).with_for_update()
        ).one_or_none()
        names = ("id", "status", "created_at", "reviewed_at", "reviewed_text")
        row = session.execute(
            select(*(getattr(page, name) for name in names), document.prompt)
            .join(document, document.id == page.document_id)
            .where(page.id == page_id)
        ).one_or_none()
        # SQLite gives the id of a deleted row to another one.
        if row is None or row.created_at != seen.created_at:
            raise _read_again()
        return work(session, _Page(session, database.rows, row))

    return database.transaction(run)


def _review(table: type[PageRow] | type[RegionRow], text: str | None, by: str) -> dict[str, Any]:
    if text is None:
        return dict.fromkeys(("reviewed_text", "reviewed_by", "reviewed_at"))
    return fit(table, {"reviewed_text": text, "reviewed_by": by}) | {"reviewed_at": DatabaseTime()}


def _read_review(session: Session, rows: Rows, page_id: int) -> Review:
    page = rows.page
    columns = (getattr(page, name) for name in list(Review.__dataclass_fields__)[1:])
    return Review(*session.execute(select(page.id, *columns).where(page.id == page_id)).one())


def _require_unchanged(reviewed_at: datetime | None, seen: Seen) -> None:
    if reviewed_at != seen.reviewed_at:
        raise ReviewConflictError(
            "it was corrected, or a correction was taken back, after you loaded it. Load it again."
        )


def _read_again() -> ReviewConflictError:
    return ReviewConflictError("the page was read again, or deleted. Load it again.")


def _require_short(text: str | None) -> None:
    if text is not None and len(text) > MAX_TEXT:
        raise ConfigurationError(
            ErrorCode.ARGUMENT,
            f"The text has {len(text):,} characters; a page has at most {MAX_TEXT:,}. Shorten it.",
        )

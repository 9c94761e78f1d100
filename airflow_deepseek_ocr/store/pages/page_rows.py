"""Rows of pages with their regions and tables, and of pages that the database does not take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import case, delete, func, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.results import (
    DocumentResult,
    DocumentStatus,
    PageResult,
    PageStatus,
    status_of,
)
from airflow_deepseek_ocr.store.database import is_refused
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.pages.inserts import Inserts, UnstorableError
from airflow_deepseek_ocr.store.pages.table_rows import PageText, insert_tables
from airflow_deepseek_ocr.store.reviews.corrected_text import ReviewedRegion, texts_with_tables
from airflow_deepseek_ocr.store.reviews.kept_reviews import KeptReview, keep, stored_reviews
from airflow_deepseek_ocr.store.row_values import page_values, region_values
from airflow_deepseek_ocr.store.tables import Rows

#: Characters of a page's text: more than 100 times those of a page of a dense newspaper. In UTF-8 twice, as
#: text and Markdown, they are half of MariaDB's default max_allowed_packet of 16 MiB.
MAX_TEXT = 1_000_000
#: MySQL's and MariaDB's ER_NO_SUCH_TABLE and ER_BAD_FIELD_ERROR: the tables are not those of the package.
_NO_TABLE = (1146, 1054)


def store_page(session: Session, rows: Rows, document_id: int, page: PageResult) -> None:
    """Store a page with its regions in place of the page stored before.

    :param rows: the mapped classes of the tables.
    :raises UnstorableError: ``unstorable``; the transaction cannot continue.
    """
    store_pages(session, rows, [(document_id, page)])


def store_pages(session: Session, rows: Rows, pages: Sequence[tuple[int, PageResult]]) -> None:
    """Store pages with their regions and tables in place of the pages stored before.

    Reviews stay with the text that they are of, see :mod:`~airflow_deepseek_ocr.store.reviews.kept_reviews`.

    :param rows: the mapped classes of the tables.
    :param pages: each with the id of its document.
    :raises UnstorableError: ``unstorable``; the transaction cannot continue.
    """
    kept = _delete_pages(session, rows, pages)
    none = KeptReview()
    try:
        inserts = Inserts(session)
        values = [
            page_values(document_id, page) | kept.get((document_id, page.number), none).page
            for document_id, page in pages
        ]
        ids = inserts.with_ids(rows.page, values, created_at=DatabaseTime())
        stored = [
            (page_id, page, kept.get((document_id, page.number), none))
            for page_id, (document_id, page) in zip(ids, pages, strict=True)
        ]
        inserts.many(
            rows.region,
            [
                region_values(page_id, position, region) | review.region(position)
                for page_id, page, review in stored
                for position, region in enumerate(page.regions)
            ],
        )
        insert_tables(
            inserts,
            rows,
            (
                PageText(page_id, *text)
                for page_id, page, review in stored
                for text in _texts_with_tables(page, review)
            ),
        )
    except (DataError, ProgrammingError, IntegrityError) as error:
        if not _is_of_values(error):
            raise
        raise UnstorableError(f"{type(error.orig).__name__}: {error.orig}") from None
    # Drivers raise these for values that they cannot convert.
    except (ValueError, TypeError, OverflowError) as error:
        raise UnstorableError(f"{type(error).__name__}: {error}") from None


def _texts_with_tables(page: PageResult, review: KeptReview) -> list[tuple[int | None, str]]:
    regions = [
        ReviewedRegion(
            position, region.label, region.text, review.region(position)["reviewed_text"]
        )
        for position, region in enumerate(page.regions)
    ]
    return texts_with_tables(regions, review.whole, page.status)


def _delete_pages(
    session: Session, rows: Rows, pages: Sequence[tuple[int, PageResult]]
) -> dict[tuple[int, int], KeptReview]:
    """Delete pages that are stored again, and return what stays of their reviews."""
    new: dict[int, dict[int, PageResult]] = {}
    for document_id, page in pages:
        for what, length in (("text", len(page.text)), ("Markdown", len(page.markdown))):
            if length > MAX_TEXT:
                raise UnstorableError(f"its {what} has {length:,} characters, over {MAX_TEXT:,}")
        new.setdefault(document_id, {})[page.number] = page
    kept: dict[tuple[int, int], KeptReview] = {}
    for document_id in _stored_before(session, rows, new):
        mine = new[document_id]
        stored, reviews = stored_reviews(session, rows, document_id, list(mine))
        if stored:
            session.execute(
                delete(rows.page).where(
                    rows.page.document_id == document_id, rows.page.page_number.in_(stored)
                )
            )
        kept |= {
            (document_id, number): keep(each, mine[number]) for number, each in reviews.items()
        }
    return kept


def _stored_before(
    session: Session, rows: Rows, new: Mapping[int, Mapping[int, PageResult]]
) -> list[int]:
    """Return the documents of which a page may be stored already: hardly any.

    :param new: pages by number, by the document's id.
    """
    column = rows.page.__table__.c
    found = session.scalars(
        select(column.document_id)
        .where(
            column.document_id.in_(list(new)),
            column.page_number.in_(sorted({number for mine in new.values() for number in mine})),
        )
        .distinct()
    )
    return sorted(found)


def results_of_pages(
    session: Session, rows: Rows, document_ids: Sequence[int]
) -> dict[int, DocumentResult]:
    """Return the results that follow from the stored pages of documents, by the documents' ids.

    :param rows: the mapped classes of the tables.
    """
    page = rows.page.__table__.c
    failed = page.status == PageStatus.FAILED.value
    counted = session.execute(
        select(
            page.document_id,
            func.count(),
            func.sum(case((failed, 1), else_=0)),
            func.sum(case((page.is_final, 0), else_=1)),
        )
        .where(page.document_id.in_(document_ids))
        .group_by(page.document_id)
    )
    counts = dict.fromkeys(document_ids, (0, 0, 0)) | {
        document_id: (int(pages), int(failed_pages), int(not_final))
        for document_id, pages, failed_pages, not_final in counted
    }
    return {
        document_id: _result(session, rows, document_id, numbers)
        for document_id, numbers in counts.items()
    }


def _result(
    session: Session, rows: Rows, document_id: int, counts: tuple[int, int, int]
) -> DocumentResult:
    """Return a document's result from the numbers of its pages: all, failed, and not final."""
    pages, failed_pages, not_final = counts
    status = status_of(pages, failed_pages)
    code, error = None, None
    if status is DocumentStatus.FAILED and pages:
        failed = rows.page.status == PageStatus.FAILED.value
        code, error = session.execute(
            select(rows.page.error_code, rows.page.error)
            .where(rows.page.document_id == document_id, failed)
            .order_by(rows.page.page_number)
            .limit(1)
        ).one()
    return DocumentResult(
        status,
        pages=pages,
        failed_pages=failed_pages,
        error_code=code,
        error=error,
        retryable=not_final > 0,
    )


def unstorable(page: PageResult, error: UnstorableError) -> PageResult:
    """Return the page's row without the data that the database did not take."""
    return PageResult(
        number=page.number,
        status=PageStatus.FAILED,
        resolution=page.resolution,
        width=page.width,
        height=page.height,
        seconds=page.seconds,
        error_code=error.code,
        error=str(error),
    )


def _is_of_values(error: DBAPIError) -> bool:
    """Return whether the error belongs to the values, not to rights, tables or rows of other tasks."""
    cause = error.orig
    if cause is None or is_refused(cause):
        return False
    if isinstance(error, IntegrityError):
        # NaN is NULL to SQLite and MySQL; a duplicate row is a conflict, which the transaction repeats.
        return "null" in str(cause).lower() and "unique" not in str(cause).lower()
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""
    # PostgreSQL's class 42: syntax error, or no such table or column.
    return not state.startswith("42") and cause.args[:1] not in [(number,) for number in _NO_TABLE]

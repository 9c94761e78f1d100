"""Deletion of documents with everything that is stored about them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.leases import (
    LeasedByAnother,
    is_leased,
    lease_columns,
    owner_of,
)
from airflow_deepseek_ocr.store.tables import Rows


@dataclass(frozen=True)
class Deleted:
    """Numbers of rows deleted with a document's row."""

    pages: int
    regions: int


def forget(
    database: Database, document_key: str, *, force: bool = False
) -> Deleted | LeasedByAnother | None:
    """Delete a document's row, and with it its pages and their regions, in one transaction.

    Stored lists of documents lose the document, too, unless rows of other configurations are left.

    A task that is processing the document can store nothing about it any more: its next page finds no row
    with its lease, and the task leaves the document.

    :param force: delete the document although a task has its lease.
    :return: None if there is no such row.
    :raises DatabaseError: ``database_unavailable``, ``database_rights``.
    """

    document, page, region, *_ = database.rows

    def work(session: Session) -> Deleted | LeasedByAnother | None:
        row = session.execute(
            select(*lease_columns(document), document.id, document.version_key)
            .where(document.document_key == document_key)
            .with_for_update()
        ).one_or_none()
        if row is None:
            return None
        if is_leased(row) and not force:
            return LeasedByAnother(owner_of(row))
        own = page.document_id == row.id
        pages = session.scalar(select(func.count()).select_from(page).where(own))
        regions = session.scalar(
            select(func.count())
            .select_from(region)
            .join(page, page.id == region.page_id)
            .where(own)
        )
        # Foreign keys with ON DELETE CASCADE delete the rest.
        session.execute(delete(document).where(document.id == row.id))
        _leave_lists(session, database.rows, row.version_key)
        return Deleted(pages or 0, regions or 0)

    return database.transaction(work)


def _leave_lists(session: Session, rows: Rows, version_key: str) -> None:
    """Delete a version of a document from stored lists, unless other configurations have rows of it."""
    others = exists().where(rows.document.version_key == version_key)
    item = rows.list_item
    session.execute(delete(item).where(item.version_key == version_key, ~others))

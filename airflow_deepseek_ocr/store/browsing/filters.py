"""Which documents a person may see, and asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, false, func, or_, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.store.tables import DocumentRow, Rows

#: Rows that are counted; a number beyond it tells a person nothing more.
MAX_COUNT = 100_000


@dataclass(frozen=True)
class Visible:
    """The documents that a person may see: those of some DAGs.

    :param dag_ids: the DAGs.
    :param without_dag: whether documents that no DAG read are visible as well.
    """

    dag_ids: frozenset[str]
    without_dag: bool = False

    def condition(self, document: type[DocumentRow]) -> ColumnElement[bool]:
        """Return the condition on rows of ``ocr_documents``."""
        parts: list[ColumnElement[bool]] = []
        if self.dag_ids:
            parts.append(document.dag_id.in_(sorted(self.dag_ids)))
        if self.without_dag:
            parts.append(document.dag_id.is_(None))
        return or_(*parts) if parts else false()


@dataclass(frozen=True, kw_only=True)
class DocumentFilter:
    """Conditions on documents, all of which hold; None sets none.

    :param visible: the documents that the person may see.
    :param name: part of the URI, in any case.
    :param status: a document's status.
    :param dag_id: id of the DAG that read it.
    :param run_id: id of the DAG run.
    :param task_id: id of the task.
    :param map_index: map index of the task instance.
    :param since: earliest time at which it was read, or changed while it is not complete.
    :param until: the time before which it was read or changed.
    """

    visible: Visible
    name: str | None = None
    status: str | None = None
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self, document: type[DocumentRow], *, names: bool = True) -> list[Any]:
        """Return the conditions on rows of ``ocr_documents``.

        :param names: False leaves the one on the URI out.
        """
        found: list[Any] = [self.visible.condition(document)]
        for column in ("status", "dag_id", "run_id", "task_id", "map_index"):
            value = getattr(self, column)
            if value is not None:
                found.append(getattr(document, column) == value)
        if names and self.name:
            found.append(document.uri.icontains(self.name, autoescape=True))
        read_at = func.coalesce(document.finished_at, document.updated_at, type_=_time(document))
        if self.since is not None:
            found.append(read_at >= self.since)
        if self.until is not None:
            found.append(read_at < self.until)
        return found


def dag_ids(session: Session, rows: Rows) -> frozenset[str | None]:
    """Return the ids of the DAGs that have documents; None means documents that no DAG read."""
    return frozenset(session.scalars(select(rows.document.dag_id).distinct()))


def count_by_status(session: Session, rows: Rows, wanted: DocumentFilter) -> dict[str, int]:
    """Return how many documents have each status; more than :data:`MAX_COUNT` in all are not counted.

    :param wanted: its status does not count.
    """
    document = rows.document
    inner: Select[Any] = (
        select(document.status)
        .where(*_without_status(wanted).conditions(document))
        .limit(MAX_COUNT + 1)
    )
    found = inner.subquery()
    query = select(found.c.status, func.count()).group_by(found.c.status)
    return {row[0]: row[1] for row in session.execute(query)}


def _without_status(wanted: DocumentFilter) -> DocumentFilter:
    return DocumentFilter(**{**vars(wanted), "status": None})


def _time(document: type[DocumentRow]) -> Any:
    return document.__table__.columns["updated_at"].type

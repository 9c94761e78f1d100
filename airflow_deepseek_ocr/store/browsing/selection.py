"""Documents that a person names by their URIs, for commands that work on stored documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select, true
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.attachments import is_attachment
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.leases import is_leased, lease_columns, owner_of
from airflow_deepseek_ocr.store.tables import DocumentRow

#: Rows listed in one transaction, and URIs in one statement: SQLite takes at most 999 parameters in its
#: oldest builds.
_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Documents whose URIs are matched exactly; ``%`` and ``_`` have no meaning.

    A document is selected with the files attached to it.

    :param uris: URIs as in the column ``uri``.
    :param prefixes: beginnings of URIs. Without URIs and prefixes, all documents are selected.
    :param version: only this version; None for all.
    :param config_key: only rows of this processing configuration; None for all.
    """

    uris: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    version: str | None = None
    config_key: str | None = None

    def conditions(self, document: type[DocumentRow]) -> Iterator[ColumnElement[bool]]:
        """Yield conditions whose rows together contain all selected ones."""
        if not self.uris and not self.prefixes:
            yield true()
        for start in range(0, len(self.uris), _CHUNK):
            yield document.uri.in_(self.uris[start : start + _CHUNK])
        if self.uris:
            yield is_attachment(document)
        for prefix in self.prefixes:
            # Not LIKE, which ignores case on SQLite and has wildcards.
            yield func.substr(document.uri, 1, len(prefix)) == prefix

    def contains(self, row: Row[Any]) -> bool:
        """Return whether a row is selected; MySQL ignores spaces at the ends of strings it compares."""
        containers = list(_with_containers(DocumentRef(row.uri, row.version)))
        return (
            (
                not (self.uris or self.prefixes)
                or any(ref.uri in self.uris for ref in containers)
                or row.uri.startswith(self.prefixes or ("\0",))
            )
            and (self.version is None or any(ref.version == self.version for ref in containers))
            and self.config_key in (None, row.config_key)
        )


def _with_containers(ref: DocumentRef) -> Iterator[DocumentRef]:
    """Yield a document, and those that contain it."""
    yield ref
    if ref.container is not None:
        yield from _with_containers(ref.container)


@dataclass(frozen=True)
class StoredVersion:
    """A row of ``ocr_documents``, and the number of its pages.

    :param document_key: identifies the row.
    :param owner: the task that is processing the document; None if no task has its lease.
    """

    document_key: str
    uri: str
    version: str
    config_key: str
    status: str
    pages: int
    owner: str | None


def find(database: Database, selection: Selection) -> Iterator[StoredVersion]:
    """Yield the selected rows, ordered by id for each URI chunk and prefix; a row comes once.

    :raises DatabaseError: ``database_unavailable``.
    """
    document, page, *_ = database.rows
    pages = (
        select(func.count())
        .select_from(page)
        .where(page.document_id == document.id)
        .scalar_subquery()
    )
    query = select(
        *lease_columns(document),
        document.id,
        document.document_key,
        document.uri,
        document.version,
        document.config_key,
        document.status,
        pages.label("pages"),
    )
    seen: set[int] = set()
    for condition in selection.conditions(document):
        for row in _rows(database, query.where(condition)):
            if row.id not in seen and selection.contains(row):
                seen.add(row.id)
                yield StoredVersion(
                    document_key=row.document_key,
                    uri=row.uri,
                    version=row.version,
                    config_key=row.config_key,
                    status=row.status,
                    pages=row.pages,
                    owner=owner_of(row) if is_leased(row) else None,
                )


def _rows(database: Database, query: Any) -> Iterator[Row[Any]]:
    last = 0
    document = database.rows.document

    def next_rows(session: Session) -> Sequence[Row[Any]]:
        chunk = query.where(document.id > last).order_by(document.id).limit(_CHUNK)
        return session.execute(chunk).all()

    while True:
        rows = database.transaction(next_rows)
        yield from rows
        if len(rows) < _CHUNK:
            return
        last = rows[-1].id

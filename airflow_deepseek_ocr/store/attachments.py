"""Rows of files that are attached to documents."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, select

from airflow_deepseek_ocr.ocr.documents.reference import ATTACHMENT, DocumentRef
from airflow_deepseek_ocr.ocr.results import DocumentStatus
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.tables import PROCESSING, DocumentRow

#: Columns that make a :class:`DocumentRef`.
REFERENCE = ("uri", "version", "etag", "size_bytes", "last_modified")


def is_attachment(document: type[DocumentRow]) -> ColumnElement[bool]:
    """Return the condition that a row is that of an attached file."""
    return document.version.contains(ATTACHMENT, autoescape=True)


def is_retryable_attachment(document: type[DocumentRow]) -> ColumnElement[bool]:
    """Return the condition that a row is that of an attached file whose failure is worth a retry.

    No listing finds such files.
    """
    failed = (DocumentStatus.FAILED.value, DocumentStatus.PARTIAL.value)
    return document.status.in_(failed) & document.retryable & is_attachment(document)


def unfinished_attachments(database: Database, config_key: str) -> dict[str, list[DocumentRef]]:
    """Return attached files that need work, by version key of the document in the storage.

    The query's cost grows with the number of documents that failed or are processed, not with the table.

    :param database: with the tables in place.
    :param config_key: only rows of this processing configuration.
    :raises DatabaseError: ``database_unavailable``.
    """
    document = database.rows.document
    unfinished = (document.status == PROCESSING) & is_attachment(document)
    query = (
        select(*(getattr(document, name) for name in REFERENCE))
        .where(document.config_key == config_key)
        .where(unfinished | is_retryable_attachment(document))
        .order_by(document.id)
    )
    found: dict[str, list[DocumentRef]] = {}
    for row in database.transaction(lambda session: session.execute(query).all()):
        ref = reference_of(row)
        found.setdefault(ref.root.version_key, []).append(ref)
    return found


def reference_of(row: Row[Any]) -> DocumentRef:
    """Return the reference of a row with the columns :data:`REFERENCE`."""
    version_id = row.version if row.etag and row.version != row.etag else None
    return DocumentRef(
        row.uri, row.version, version_id, row.etag, row.size_bytes, row.last_modified
    )

"""The files that were written of a document, as rows name them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.store.tables import ExportRow, Rows

_SHOWN = ("id", "kind", "name", "media_type", "size_bytes", "created_at")
_FILE = (*_SHOWN, "uri", "sha256")

#: Kind of an export that is a page's picture.
PICTURE = "webp"
#: Files that a person may choose from.
MAX_FILES = 200


def files(
    session: Session, rows: Rows, document_id: int, page_number: int | None = None
) -> list[dict[str, Any]]:
    """Return the exports of a whole document, or those of one of its pages.

    :param page_number: the page; None for the files of the whole document.
    """
    export = rows.export
    query = (
        select(*(getattr(export, name) for name in _SHOWN))
        .where(
            export.document_id == document_id,
            # None becomes IS NULL.
            export.page_number == page_number,
        )
        .order_by(export.kind, export.id)
        .limit(MAX_FILES)
    )
    return [dict(row) for row in session.execute(query).mappings()]


def picture(
    session: Session, rows: Rows, document_id: int, page_number: int
) -> dict[str, Any] | None:
    """Return the export that is the picture of a page, with its address; None if there is none."""
    export = rows.export
    return _first(
        session,
        export,
        export.document_id == document_id,
        export.page_number == page_number,
        export.kind == PICTURE,
    )


def find(session: Session, rows: Rows, document_id: int, export_id: int) -> dict[str, Any] | None:
    """Return an export with its address; None if the document has none of this id."""
    export = rows.export
    return _first(session, export, export.id == export_id, export.document_id == document_id)


def _first(session: Session, export: type[ExportRow], *conditions: Any) -> dict[str, Any] | None:
    query = select(*(getattr(export, name) for name in _FILE)).where(*conditions)
    row = session.execute(query.order_by(export.id.desc()).limit(1)).mappings().first()
    return dict(row) if row else None

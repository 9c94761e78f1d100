"""Which rows of a document are current, as the views define it."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import column, func, select, table
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.store.names import CURRENT_DOCUMENTS
from airflow_deepseek_ocr.store.tables import Rows

_COLUMNS = ("id", "uri", "result_id", "is_newest_config")


def current_documents(session: Session, rows: Rows, uris: Collection[str]) -> set[int]:
    """Return the ids of the current rows of documents, in the configuration that counts.

    Of a document none of whose versions has a result, the newest version is current: its pages failed, and
    people review them.

    :param uris: some hundred at most; each row of theirs is ranked.
    """
    names = rows.document.names
    view = table(
        names.table(CURRENT_DOCUMENTS), *(column(name) for name in _COLUMNS), schema=names.schema
    )
    query = select(func.coalesce(view.c.result_id, view.c.id)).where(
        view.c.uri.in_(sorted(uris)), view.c.is_newest_config
    )
    return set(session.scalars(query))

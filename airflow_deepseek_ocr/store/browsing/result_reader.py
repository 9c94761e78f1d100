"""Results as they are stored, read for tasks that come after, a bounded number of rows at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select

from airflow_deepseek_ocr.ocr.results import PageStatus
from airflow_deepseek_ocr.store.database import Database

#: Rows of documents, and pages with their text, that are read at once.
_DOCUMENTS, _PAGES = 500, 50


class _Plain:
    def to_dict(self) -> dict[str, Any]:
        """Return the fields; times are :class:`datetime.datetime`."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]


@dataclass(frozen=True, kw_only=True)
class OcrDocument(_Plain):
    """A version of a document, as in ``ocr_documents``, where the columns are described."""

    id: int
    uri: str
    version: str
    config_key: str
    status: str
    error_code: str | None
    error: str | None
    media_type: str
    page_count: int
    model: str
    prompt: str
    resolution: str
    dag_id: str | None
    run_id: str | None
    task_id: str | None
    map_index: int | None
    last_modified: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class OcrRegion(_Plain):
    """A region of a page.

    :param text: its text, corrected where a person corrected it.
    :param box: the box that encloses it, in pixels of the page image; None without one.
    :param description: what a picture shows; None if pictures are not described.
    """

    position: int
    label: str
    text: str
    box: tuple[int, int, int, int] | None
    confidence: float | None
    description: str | None
    is_corrected: bool


@dataclass(frozen=True, kw_only=True)
class OcrPage(_Plain):
    """A page of a document.

    :param id: row of the page.
    :param text: its Markdown, corrected where a person corrected it.
    :param model_text: the Markdown of the model's output.
    :param is_corrected: whether a person corrected the page, or a region of it.
    :param is_accepted: whether a person found the page good.
    :param reviewed_at: time of the last correction.
    :param created_at: time at which the page was stored.
    """

    id: int
    document_id: int
    page_number: int
    status: str
    error_code: str | None
    text: str
    model_text: str
    width: int
    height: int
    score: float | None
    confidence: float | None
    flags: tuple[str, ...]
    is_corrected: bool
    is_accepted: bool
    reviewed_at: datetime | None
    created_at: datetime

    def needs_review(self, below: float) -> bool:
        """Return whether a person should check the page: it failed, or is not good enough.

        :param below: pages with a smaller score or confidence need a review, from 0 to 1.
        """
        if self.is_corrected or self.is_accepted:
            return False
        values = [value for value in (self.score, self.confidence) if value is not None]
        return self.status == PageStatus.FAILED or min(values, default=1.0) < below


@dataclass(frozen=True, kw_only=True)
class OcrTable(_Plain):
    """A table of a page.

    :param position: order on the page, from 0.
    :param rows: the text of each row's columns; a cell that spans several has its text in the first.
    """

    document_id: int
    page_number: int
    position: int
    caption: str | None
    rows: list[list[str]]
    is_ragged: bool
    is_truncated: bool


@dataclass(frozen=True, kw_only=True)
class OcrExport(_Plain):
    """A file that was written from a document's result, as in ``ocr_exports``."""

    document_id: int
    page_number: int | None
    kind: str
    name: str
    uri: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: datetime


def read_documents(database: Database, condition: Any) -> Iterator[OcrDocument]:
    """Yield documents in the order of their ids.

    :param condition: on the columns of ``database.rows.document``.
    :raises DatabaseError: ``database_unavailable``, ``database_rights``.
    """
    document = database.rows.document
    names = list(OcrDocument.__dataclass_fields__)
    query = select(*(getattr(document, name) for name in names)).where(condition)
    for row in _chunks(database, query, document.id, _DOCUMENTS):
        yield OcrDocument(**row._mapping)


def read_pages(database: Database, document_id: int) -> Iterator[OcrPage]:
    """Yield the pages of a document in order.

    :raises DatabaseError: ``database_unavailable``, ``database_rights``.
    """
    page = database.rows.page
    names = [
        name
        for name in OcrPage.__dataclass_fields__
        if name not in ("text", "model_text", "is_corrected", "is_accepted", "flags")
    ]
    query = select(
        *(getattr(page, name) for name in names),
        page.markdown,
        page.reviewed_text,
        page.accepted_at,
        page.flags,
    ).where(page.document_id == document_id)
    for row in _chunks(database, query, page.page_number, _PAGES):
        yield OcrPage(
            **{name: getattr(row, name) for name in names},
            text=row.markdown if row.reviewed_text is None else row.reviewed_text,
            model_text=row.markdown,
            flags=tuple(json.loads(row.flags or "[]")),
            is_corrected=row.reviewed_text is not None,
            is_accepted=row.accepted_at is not None,
        )


def read_regions(database: Database, page_id: int) -> list[OcrRegion]:
    """Return the regions of a page in reading order.

    :raises DatabaseError: ``database_unavailable``, ``database_rights``.
    """
    region = database.rows.region
    names = ("position", "label", "confidence", "description")
    query = (
        select(*(getattr(region, name) for name in names))
        .add_columns(region.text, region.reviewed_text, region.x1, region.y1, region.x2, region.y2)
        .where(region.page_id == page_id)
        .order_by(region.position)
    )
    return [
        OcrRegion(
            **{name: getattr(row, name) for name in names},
            text=row.text if row.reviewed_text is None else row.reviewed_text,
            box=None if row.x1 is None else (row.x1, row.y1, row.x2, row.y2),
            is_corrected=row.reviewed_text is not None,
        )
        for row in database.transaction(lambda session: session.execute(query).all())
    ]


def read_tables(database: Database, document_id: int) -> Iterator[OcrTable]:
    """Yield the tables of a document in the order of its pages.

    :raises DatabaseError: ``database_unavailable``, ``database_rights``.
    """
    page, table, cell = database.rows.page, database.rows.table, database.rows.cell
    names = ("position", "caption", "is_ragged", "is_truncated")
    tables = (
        select(*(getattr(table, name) for name in names), table.id, page.page_number)
        .add_columns(table.row_count, table.column_count)
        .join(page, page.id == table.page_id)
        .where(page.document_id == document_id)
        .order_by(page.page_number, table.position)
    )
    cells = select(cell.row_index, cell.column_index, cell.text)
    for row in database.transaction(lambda session: session.execute(tables).all()):
        of_table = cells.where(cell.table_id == row.id)
        rows = [[""] * row.column_count for _ in range(row.row_count)]
        for at, column, text in database.transaction(
            lambda session, query=of_table: session.execute(query).all()  # type: ignore[misc]
        ):
            rows[at][column] = text
        yield OcrTable(
            **{name: getattr(row, name) for name in names},
            document_id=document_id,
            page_number=row.page_number,
            rows=rows,
        )


def read_exports(database: Database, document_ids: Sequence[int]) -> Iterator[OcrExport]:
    """Yield the files that were written from documents, in the order in which they were written.

    :raises DatabaseError: ``database_unavailable``, ``database_rights``.
    """
    export = database.rows.export
    names = list(OcrExport.__dataclass_fields__)
    columns = [getattr(export, name) for name in names]
    for start in range(0, len(document_ids), _DOCUMENTS):
        chosen = export.document_id.in_(document_ids[start : start + _DOCUMENTS])
        for row in _chunks(database, select(export.id, *columns).where(chosen), export.id, 500):
            yield OcrExport(**{name: getattr(row, name) for name in names})


def _chunks(database: Database, query: Select[Any], key: Any, size: int) -> Iterator[Row[Any]]:
    """Yield the rows of a query by a unique column, which it selects, in ascending order."""
    last: int | None = None
    while True:
        chunk = query if last is None else query.where(key > last)
        chunk = chunk.order_by(key).limit(size)
        rows = database.transaction(
            lambda session, chunk=chunk: session.execute(chunk).all()  # type: ignore[misc]
        )
        yield from rows
        if len(rows) < size:
            return
        last = getattr(rows[-1], key.key)

"""Stored results as exports take them, and the rows of files that were exported."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.documents.limits import DEFAULT_DPI
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef, digest
from airflow_deepseek_ocr.ocr.exports.exported import (
    ExportedDocument,
    ExportedPage,
    ExportedRegion,
    corrected_region,
    effective,
    ordered,
)
from airflow_deepseek_ocr.store.attachments import reference_of
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.pages.inserts import CHUNK, Inserts
from airflow_deepseek_ocr.store.reviews.corrected_text import (
    ReviewedRegion,
    are_lines,
    is_corrected_as_a_whole,
)
from airflow_deepseek_ocr.store.row_values import fit
from airflow_deepseek_ocr.store.tables import PROCESSING, ExportRow, Rows


@dataclass(frozen=True)
class StoredDocument:
    """A document with a row.

    :param document_id: the row.
    :param ref: the document and its version.
    :param document: its results.
    """

    document_id: int
    ref: DocumentRef
    document: ExportedDocument


@dataclass(frozen=True)
class ExportedFile:
    """A file that was exported; see ``ocr_exports``."""

    kind: str
    page_number: int | None
    name: str
    uri: str
    media_type: str
    size_bytes: int
    sha256: str


def read_document(database: Database, document_key: str) -> StoredDocument | None:
    """Return a document that has ended, with its pages; None if there is none.

    :param document_key: as in ``ocr_documents``.
    :raises DatabaseError: ``database_unavailable``.
    """
    rows = database.rows

    def work(session: Session) -> StoredDocument | None:
        row: Any = session.execute(
            select(rows.document.__table__).where(
                rows.document.document_key == document_key, rows.document.status != PROCESSING
            )
        ).one_or_none()
        if row is None:
            return None
        pages = session.execute(
            select(rows.page.__table__)
            .where(rows.page.document_id == row.id)
            .order_by(rows.page.page_number)
        ).all()
        regions: dict[int, list[Any]] = defaultdict(list)
        for region in session.execute(
            select(rows.region.__table__)
            .join(rows.page, rows.page.id == rows.region.page_id)
            .where(rows.page.document_id == row.id)
            .order_by(rows.region.page_id, rows.region.position)
        ):
            regions[region.page_id].append(region)
        read = tuple(_page(page, regions[page.id], row.prompt) for page in pages)
        return StoredDocument(row.id, reference_of(row), _document(row, read))

    return database.transaction(work, reads=True)


def write_exports(
    database: Database, documents: Sequence[tuple[int, Sequence[ExportedFile]]]
) -> None:
    """Store the files of documents in place of those stored before, in one transaction.

    Nothing is stored for a document without a row: it was deleted meanwhile.

    :param documents: rows of documents, each with all its files.
    :raises DatabaseError: ``database_unavailable``, ``database_full``.
    """

    def work(session: Session) -> None:
        # By ascending id, as others lock several documents.
        for document_id, files in sorted(documents, key=lambda each: each[0]):
            _write(session, database.rows, document_id, files)

    database.transaction(work)


def _write(session: Session, rows: Rows, document_id: int, files: Sequence[ExportedFile]) -> None:
    row, document = rows.export, rows.document
    locked = select(document.id).where(document.id == document_id).with_for_update()
    if session.scalar(locked) is None:
        return
    stored = {
        each.export_key: each
        for each in session.execute(
            select(row.id, row.export_key, row.sha256, row.uri).where(
                row.document_id == document_id
            )
        )
    }
    wanted = {_key(document_id, file): file for file in files}
    gone = [stored[key].id for key in stored.keys() - wanted.keys()]
    for start in range(0, len(gone), CHUNK):
        session.execute(delete(row).where(row.id.in_(gone[start : start + CHUNK])))
    new = []
    for key, file in wanted.items():
        values = fit(ExportRow, vars(file))
        before = stored.get(key)
        if before is None:
            new.append(values | {"export_key": key, "document_id": document_id})
        elif (before.sha256, before.uri) != (file.sha256, file.uri):
            values["created_at"] = DatabaseTime()
            session.execute(update(row).where(row.id == before.id).values(values))
    # A document of 2,000 pages has some 10,000 files.
    Inserts(session).many(row, new, created_at=DatabaseTime())


def _key(document_id: int, file: ExportedFile) -> str:
    page = "" if file.page_number is None else str(file.page_number)
    return digest(str(document_id), file.kind, page, file.name)


def _document(row: Any, pages: tuple[ExportedPage, ...]) -> ExportedDocument:
    config = json.loads(row.config)
    return ExportedDocument(
        uri=row.uri,
        version=row.version,
        version_key=row.version_key,
        config_key=row.config_key,
        model=row.model,
        revision=row.revision,
        prompt=row.prompt,
        media_type=row.media_type,
        page_count=row.page_count,
        dpi=config.get("dpi", DEFAULT_DPI),
        pages=pages,
    )


def _page(row: Any, regions: Sequence[Any], prompt: str) -> ExportedPage:
    page = ExportedPage(
        number=row.page_number,
        status=row.status,
        width=row.width,
        height=row.height,
        markdown=row.markdown,
        regions=tuple(map(_region, regions)),
        rotation=row.rotation or 0,
        score=row.score,
        flags=tuple(json.loads(row.flags or "[]")),
        confidence=row.confidence,
        uncertain_words=tuple(json.loads(row.uncertain_words or "[]")),
        error_code=row.error_code,
        is_accepted=row.accepted_at is not None,
    )
    if row.reviewed_text is None:
        return effective(page, prompt=prompt)
    stored = [
        ReviewedRegion(region.position, region.label, region.text, region.reviewed_text)
        for region in regions
    ]
    lines = are_lines(prompt, row.status)
    is_whole = is_corrected_as_a_whole(row.reviewed_text, stored, are_lines=lines)
    # A page whose regions were corrected keeps their places, and the confidence of the others.
    page = effective(page, prompt=prompt, page_correction=row.reviewed_text if is_whole else None)
    return replace(page, markdown=row.reviewed_text)


def _region(row: Any) -> ExportedRegion:
    confidences = json.loads(row.word_confidences) if row.word_confidences else None
    region = ExportedRegion(
        position=row.position + 1,
        label=row.label,
        text=row.text,
        boxes=tuple(ordered(box["pixels"]) for box in json.loads(row.boxes)),
        confidence=row.confidence,
        word_confidences=confidences and tuple(confidences),
        description=row.description,
    )
    return region if row.reviewed_text is None else corrected_region(region, row.reviewed_text)

"""One document, the overview of its pages, and one page with its regions."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.store.tables import Rows

#: Columns of a document that people see.
_DOCUMENT = (
    "id",
    "uri",
    "version",
    "size_bytes",
    "last_modified",
    "config_key",
    "config",
    "model",
    "revision",
    "prompt",
    "resolution",
    "status",
    "retryable",
    "error_code",
    "error",
    "media_type",
    "page_count",
    "claims",
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "try_number",
    "created_at",
    "updated_at",
    "finished_at",
)
_VERSION = ("id", "version", "status", "model", "resolution", "prompt", "dag_id", "finished_at")
_OVERVIEW = (
    "page_number",
    "status",
    "score",
    "confidence",
    "flags",
    "error_code",
    "seconds",
    "reviewed_at",
    "accepted_at",
)
_OVERVIEW_TOKENS = ("vision_tokens", "text_tokens", "attempt_count")
_PAGE = (
    "id",
    *_OVERVIEW,
    *_OVERVIEW_TOKENS,
    "error",
    "resolution",
    "width",
    "height",
    "text",
    "markdown",
    "agreement",
    "agreement_ordered",
    "attempts",
    "rotation",
    "uncertain_words",
    "reviewed_text",
    "reviewed_by",
    "accepted_by",
    "created_at",
)
_REGION = (
    "id",
    "position",
    "label",
    "text",
    "boxes",
    "confidence",
    "description",
    "reviewed_text",
    "reviewed_by",
    "reviewed_at",
)

#: Versions of a document that a person may choose from.
MAX_VERSIONS = 50
#: Pages in the overview of a document; the package's own limit of pages is below it.
MAX_PAGES = 20_000
#: Regions of a page. The model writes at most 8,192 tokens, and a region takes some ten.
MAX_REGIONS = 2_000


def find_document(session: Session, rows: Rows, document_id: int) -> dict[str, Any] | None:
    """Return a document's columns; None if there is none of this id."""
    document = rows.document
    columns = (getattr(document, name) for name in _DOCUMENT)
    row = session.execute(select(*columns).where(document.id == document_id)).mappings().first()
    return dict(row) if row else None


def versions(session: Session, rows: Rows, uri: str) -> list[dict[str, Any]]:
    """Return the rows of a URI, those found last first: its versions, and other processing configurations.

    :return: with ``dag_id``, by which the caller leaves out those that the person may not see.
    """
    document = rows.document
    columns = (getattr(document, name) for name in _VERSION)
    query = select(*columns).where(document.uri == uri).order_by(document.id.desc())
    return [dict(row) for row in session.execute(query.limit(MAX_VERSIONS)).mappings()]


def pages(session: Session, rows: Rows, document_id: int) -> list[dict[str, Any]]:
    """Return the figures of a document's pages in order, without their text."""
    page = rows.page
    columns = (getattr(page, name) for name in (*_OVERVIEW, *_OVERVIEW_TOKENS))
    query = (
        select(*columns)
        .where(page.document_id == document_id)
        .order_by(page.page_number)
        .limit(MAX_PAGES)
    )
    found = [dict(row) for row in session.execute(query).mappings()]
    for each in found:
        each["flags"] = from_json(each["flags"])
    return found


def find_page(session: Session, rows: Rows, document_id: int, number: int) -> dict[str, Any] | None:
    """Return a page with its attempts and regions; None if it is not stored."""
    page, region = rows.page, rows.region
    query = select(*(getattr(page, name) for name in _PAGE)).where(
        page.document_id == document_id, page.page_number == number
    )
    row = session.execute(query).mappings().first()
    if row is None:
        return None
    found = dict(row)
    found["flags"] = from_json(found["flags"])
    found["attempts"] = from_json(found["attempts"])
    found["uncertain_words"] = from_json(found["uncertain_words"])
    regions = (
        select(*(getattr(region, name) for name in _REGION))
        .where(region.page_id == found["id"])
        .order_by(region.position)
        .limit(MAX_REGIONS)
    )
    found["regions"] = [dict(each) for each in session.execute(regions).mappings()]
    for each in found["regions"]:
        each["boxes"] = [box["pixels"] for box in from_json(each["boxes"])]
    return found


def find_ids(
    session: Session, rows: Rows, document_id: int, number: int, position: int | None
) -> tuple[int, int | None] | None:
    """Return the ids of a page and of one of its regions; None if the page is not stored.

    :param position: of the region; None for the page alone.
    """
    page, region = rows.page, rows.region
    page_id = session.scalar(
        select(page.id).where(page.document_id == document_id, page.page_number == number)
    )
    if page_id is None:
        return None
    here = select(region.id).where(region.page_id == page_id, region.position == position)
    return page_id, None if position is None else session.scalar(here)


def page_texts(
    session: Session, rows: Rows, document_id: int, *, after: int, limit: int
) -> list[tuple[int, str]]:
    """Return number and Markdown of pages in order, corrected where a person corrected the page.

    :param after: only pages with a greater number.
    :param limit: how many at most.
    """
    page = rows.page
    query = (
        select(page.page_number, func.coalesce(page.reviewed_text, page.markdown))
        .where(page.document_id == document_id, page.page_number > after)
        .order_by(page.page_number)
        .limit(limit)
    )
    return [(number, text) for number, text in session.execute(query)]


def from_json(value: str | None) -> list[Any]:
    """Return a list that a column holds as JSON; an empty one for null."""
    found: list[Any] = json.loads(value) if value else []
    return found

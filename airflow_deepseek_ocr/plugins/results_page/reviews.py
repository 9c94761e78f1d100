"""Endpoints with which people correct texts and accept pages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, Field

from airflow_deepseek_ocr.plugins.results_page.documents import DocumentId, PageNumber
from airflow_deepseek_ocr.plugins.results_page.model_text import MAX_TEXT
from airflow_deepseek_ocr.plugins.results_page.requests import clear_errors, require_own_page
from airflow_deepseek_ocr.plugins.results_page.rights import Rights, User
from airflow_deepseek_ocr.plugins.results_page.state import Person, state, visible_document
from airflow_deepseek_ocr.store.browsing.details import find_ids
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.reviews.corrections import (
    Review,
    Seen,
    accept_page,
    correct_page,
    correct_region,
)

router = APIRouter(
    prefix="/documents/{document_id}/pages/{number}", dependencies=[Depends(require_own_page)]
)

_Text = Annotated[str, Field(max_length=MAX_TEXT)]


class Correction(BaseModel):
    """A person's text, and the state of the page that they saw.

    ``text`` is None to take a correction back; ``seen_at`` is the ``reviewed_at`` of the page or region.
    """

    text: _Text | None
    page_created_at: datetime
    seen_at: datetime | None = None


class Acceptance(BaseModel):
    """Whether a page is good as it is, and the state of the page that the person saw."""

    accepted: bool
    page_created_at: datetime
    seen_at: datetime | None = None


@router.put("/review")
def review_page(
    document_id: DocumentId, number: PageNumber, body: Correction, user: User, person: Person
) -> dict[str, Any]:
    """Store a person's text of a page, or take it back."""
    page_id, _ = _ids(document_id, number, person)
    return _changed(
        lambda database: correct_page(
            database, page_id, body.text, by=user.get_name(), seen=_seen(body)
        )
    )


@router.put("/regions/{position}/review")
def review_region(
    document_id: DocumentId,
    number: PageNumber,
    position: PageNumber,
    body: Correction,
    user: User,
    person: Person,
) -> dict[str, Any]:
    """Store a person's text of a region, or take it back."""
    _, region_id = _ids(document_id, number, person, position)
    if region_id is None:
        raise HTTPException(404, "There is no such region on this page.")
    return _changed(
        lambda database: correct_region(
            database, region_id, body.text, by=user.get_name(), seen=_seen(body)
        )
    )


@router.put("/acceptance")
def accept(
    document_id: DocumentId, number: PageNumber, body: Acceptance, user: User, person: Person
) -> dict[str, Any]:
    """Store that a page is good as it is, or take that back."""
    page_id, _ = _ids(document_id, number, person)
    return _changed(
        lambda database: accept_page(
            database, page_id, by=user.get_name(), seen=_seen(body), is_accepted=body.accepted
        )
    )


def _ids(
    document_id: int, number: int, person: Rights, position: int | None = None
) -> tuple[int, int | None]:
    """Return the ids of a page and of one of its regions, which the person may correct.

    :raises HTTPException: 404 for pages that they may not see or that are not stored, 403 for those that
        they may not correct.
    """
    found = visible_document(document_id, person)
    if not person.may_correct(found["dag_id"]):
        raise HTTPException(
            403, "You may not correct this document: it takes the right to edit its DAG's tasks."
        )
    with clear_errors():
        ids = state().database.read(find_ids, document_id, number, position)
    if ids is None:
        raise HTTPException(404, f"Page {number} of this document is not stored.")
    return ids


def _seen(body: Correction | Acceptance) -> Seen:
    return Seen(body.page_created_at, body.seen_at)


def _changed(change: Callable[[Database], Review]) -> dict[str, Any]:
    with clear_errors(), closing(state().database.writer()) as database:
        return vars(change(database))

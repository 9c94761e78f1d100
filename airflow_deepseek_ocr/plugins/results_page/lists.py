"""Endpoints of the lists: documents with their counts, and the queue of pages to review."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from airflow_deepseek_ocr.ocr.quality.failure_messages import flags_in_words
from airflow_deepseek_ocr.plugins.results_page.requests import MAX_ID, Wanted, clear_errors
from airflow_deepseek_ocr.plugins.results_page.rights import Rights, User
from airflow_deepseek_ocr.plugins.results_page.state import Person, state
from airflow_deepseek_ocr.store.browsing.documents import list_documents, search_text
from airflow_deepseek_ocr.store.browsing.filters import (
    MAX_COUNT,
    DocumentFilter,
    count_by_status,
)
from airflow_deepseek_ocr.store.browsing.queue import Order, QueuePlace, review_queue

#: Rows of a list at a time.
PAGE_SIZE = 50
#: Seconds of a search in texts or for pages to review; it then answers with its place, and the person may
#: continue it.
_SEARCH_S = 2.0
#: Characters of a document's error in the list; the document shows all of it.
_MAX_ERROR = 300

router = APIRouter()

Before = Annotated[int | None, Query(ge=0, le=MAX_ID)]


@router.get("/session")
def session(user: User, person: Person) -> dict[str, Any]:
    """Return who asks, and the DAGs whose documents they may see."""
    with clear_errors():
        visible = person.visible(state().database.dag_ids())
    return {
        "user": user.get_name(),
        "dag_ids": sorted(visible.dag_ids),
        "without_dag": visible.without_dag,
        "most_counted": MAX_COUNT,
        "flags": flags_in_words(),
    }


@router.get("/documents")
def documents(
    person: Person, wanted: Wanted, in_text: bool = False, before: Before = None
) -> dict[str, Any]:
    """Return documents, newest first."""
    with clear_errors():
        found = _filter(person, wanted)
        if in_text and wanted.q:
            listing = state().database.read(
                search_text, found, wanted.q, before=before, limit=PAGE_SIZE, budget_s=_SEARCH_S
            )
        else:
            listing = state().database.read(list_documents, found, before=before, limit=PAGE_SIZE)
    for each in listing.documents:
        each["error"] = each["error"] and each["error"][:_MAX_ERROR]
    return {
        "documents": listing.documents,
        "next_before": listing.next_before,
        "is_partial": listing.is_partial,
    }


@router.get("/counts")
def counts(person: Person, wanted: Wanted) -> dict[str, Any]:
    """Return how many documents have each status."""
    with clear_errors():
        found = _filter(person, wanted)
        numbers = state().database.read(count_by_status, found)
    return {"statuses": numbers, "total": sum(numbers.values())}


@router.get("/queue")
def queue(
    person: Person,
    wanted: Wanted,
    order: Order = "score",
    below: Annotated[float, Query(ge=0, le=1)] = 0.8,
    after: Annotated[str, Query(max_length=60)] = "",
) -> dict[str, Any]:
    """Return pages to review, the worst first."""
    try:
        place = QueuePlace.parse(after) if after else None
    except ValueError:
        raise HTTPException(422, "after is the value next_after of the page before.") from None
    with clear_errors():
        found = _filter(person, wanted)
        pages, following = state().database.read(
            review_queue,
            found,
            order=order,
            below=below,
            after=place,
            limit=PAGE_SIZE,
            budget_s=_SEARCH_S,
        )
    return {"pages": pages, "next_after": None if following is None else str(following)}


def _filter(person: Rights, wanted: Wanted) -> DocumentFilter:
    return wanted.filter(person.visible(state().database.dag_ids()))

"""Reviews of pages that are read again: a correction stays with the text that it corrects.

* The text of a page that was corrected as a whole stays, since the version of the document is the same.
* A corrected region stays if the model's text at its position is the same.
* An accepted page stays accepted if the model's text is the same, or if it was corrected as a whole.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.results import PageResult
from airflow_deepseek_ocr.store.reviews.corrected_text import (
    ReviewedRegion,
    are_lines,
    compose,
    is_corrected_as_a_whole,
)
from airflow_deepseek_ocr.store.tables import Rows

log = logging.getLogger(__name__)

_REVIEW = ("reviewed_text", "reviewed_by", "reviewed_at")
_KEPT = (*_REVIEW, "accepted_by", "accepted_at")
_PAGE = ("id", "page_number", "status", "text", *_KEPT)
_REGION = ("page_id", "position", "label", "text", *_REVIEW)


@dataclass(frozen=True)
class StoredReview:
    """The review of a page as it is stored.

    :param page: with the columns of the review, and ``text``.
    :param regions: all regions of the page in reading order.
    :param prompt: the prompt of the document.
    """

    page: Any
    regions: tuple[Any, ...]
    prompt: str


@dataclass(frozen=True)
class KeptReview:
    """What stays of a review.

    :param page: columns of the page.
    :param regions: columns of each region, by position.
    :param whole: the text of a page that was corrected as a whole.
    """

    page: dict[str, Any] = field(default_factory=lambda: dict.fromkeys(_KEPT))
    regions: dict[int, dict[str, Any]] = field(default_factory=dict)
    whole: str | None = None

    def region(self, position: int) -> dict[str, Any]:
        """Return the columns of a region."""
        return self.regions.get(position) or dict.fromkeys(_REVIEW)


def stored_reviews(
    session: Session, rows: Rows, document_id: int, numbers: Sequence[int]
) -> tuple[list[int], dict[int, StoredReview]]:
    """Return which pages of a document are stored, and the reviews of those that have one.

    :param rows: the mapped classes of the tables.
    :param numbers: numbers of pages.
    :return: numbers of the stored pages; reviews by the number of the page.
    """
    page, region = rows.page, rows.region
    # Texts are large: those of pages without a review are left in the database.
    query = (
        select(page.page_number, page.id, page.reviewed_at, page.accepted_at)
        .where(page.document_id == document_id, page.page_number.in_(numbers))
        .order_by(page.page_number)
    )
    stored = session.execute(query).all()
    reviewed = {
        row.id: row.page_number
        for row in stored
        if row.reviewed_at is not None or row.accepted_at is not None
    }
    reviews: dict[int, StoredReview] = {}
    if reviewed:
        document = rows.document
        prompt = session.scalar(select(document.prompt).where(document.id == document_id)) or ""
        pages = select(*(getattr(page, name) for name in _PAGE)).where(page.id.in_(reviewed))
        regions = (
            select(*(getattr(region, name) for name in _REGION))
            .where(region.page_id.in_(reviewed))
            .order_by(region.page_id, region.position)
        )
        of_pages: dict[int, list[Any]] = {}
        for each in session.execute(regions):
            of_pages.setdefault(each.page_id, []).append(each)
        for row in session.execute(pages):
            reviews[row.page_number] = StoredReview(row, tuple(of_pages.get(row.id, ())), prompt)
    return [row.page_number for row in stored], reviews


def keep(review: StoredReview, page: PageResult) -> KeptReview:
    """Return what stays of a review when its page has been read again.

    :param review: the review.
    :param page: the page as it is stored now.
    """
    old = review.page
    before = [
        ReviewedRegion(row.position, row.label, row.text, row.reviewed_text)
        for row in review.regions
    ]
    lines = are_lines(review.prompt, old.status)
    is_whole = is_corrected_as_a_whole(old.reviewed_text, before, are_lines=lines)
    regions = {
        row.position: {name: getattr(row, name) for name in _REVIEW}
        for row in review.regions
        if row.reviewed_text is not None
        and row.position < len(page.regions)
        and page.regions[row.position].text == row.text
    }
    columns: dict[str, Any] = dict.fromkeys(_KEPT)
    text = old.reviewed_text if is_whole else _composed(page, regions, review.prompt)
    if text is not None:
        columns |= {name: getattr(old, name) for name in _REVIEW} | {"reviewed_text": text}
    if is_whole or page.text == old.text:
        columns |= {name: getattr(old, name) for name in ("accepted_by", "accepted_at")}
    dropped = sum(region.reviewed_text is not None for region in before) - len(regions)
    if dropped or (old.accepted_at is not None and columns["accepted_at"] is None):
        log.warning(
            "Page %s was read again with another text: %s of its corrected regions, and whether it was "
            "accepted, are dropped. It needs a new review.",
            page.number,
            dropped,
        )
    return KeptReview(columns, regions, old.reviewed_text if is_whole else None)


def _composed(page: PageResult, regions: dict[int, dict[str, Any]], prompt: str) -> str | None:
    return compose(
        [
            ReviewedRegion(
                position, region.label, region.text, regions.get(position, {}).get("reviewed_text")
            )
            for position, region in enumerate(page.regions)
        ],
        are_lines=are_lines(prompt, page.status),
    )

"""Documents as context managers, and the selection of their pages."""

from __future__ import annotations

import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection


class Blank(Document):
    """A document of blank pages."""

    media_type = "image/test"

    def __init__(self, pages: int, selection: str = "", limits: Limits | None = None) -> None:
        self.page_count, self.closed = pages, 0
        self._select(PageSelection.parse(selection), limits or Limits())

    def page(self, number: int) -> Page:
        return Page(number, Image.new("RGB", (1, 1)))

    def close(self) -> None:
        self.closed += 1


def test_leaving_the_context_closes_the_document() -> None:
    with Blank(1) as document:
        assert document.closed == 0
    assert document.closed == 1
    with pytest.raises(ZeroDivisionError), Blank(1) as failing:
        raise ZeroDivisionError
    assert failing.closed == 1


def test_only_selected_pages_count_for_the_limit() -> None:
    limits = Limits(max_pages=2)
    assert Blank(2, limits=limits).page_numbers == (1, 2)
    assert Blank(9, "8-", limits).page_numbers == (8, 9)
    with pytest.raises(DocumentError) as caught:
        Blank(3, limits=limits)
    assert caught.value.code is ErrorCode.TOO_MANY_PAGES


def test_a_page_has_no_text_layer_unless_its_type_has_one() -> None:
    page = Blank(1).page(1)
    assert (page.number, page.text_layer) == (1, None)

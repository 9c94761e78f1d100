"""Selections of pages, from text to page numbers."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("2", [2]),
        ("4-", [4, 5]),
        ("-2,5", [1, 2, 5]),
        (" 1 - 2 , 2-3", [1, 2, 3]),
        ("5,1", [1, 5]),
        ("3-999999999", [3, 4, 5]),
        (",2,", [2]),
    ],
)
def test_page_selection(text: str, pages: list[int]) -> None:
    selection = PageSelection.parse(text)
    assert selection.of(5) == pages
    assert PageSelection.parse(str(selection)) == selection


def test_none_selects_all_pages() -> None:
    assert PageSelection.parse(None) == PageSelection() == PageSelection.parse(" , ")


@pytest.mark.parametrize("text", ["0", "3-1", "a", "1-2-3", "-", "1;2", "1234567890"])
def test_wrong_page_selection(text: str) -> None:
    with pytest.raises(ConfigurationError, match="1-3,5,10-") as caught:
        PageSelection.parse(text)
    assert caught.value.code is ErrorCode.PAGE_SELECTION


def test_pages_that_do_not_exist() -> None:
    with pytest.raises(DocumentError, match="has 5") as caught:
        PageSelection.parse("6-").of(5)
    assert caught.value.code is ErrorCode.NO_SUCH_PAGE


@pytest.mark.parametrize("text", ["1-3,5,10-", "1", "2-4"])
def test_the_text_of_a_selection(text: str) -> None:
    assert str(PageSelection.parse(text)) == text

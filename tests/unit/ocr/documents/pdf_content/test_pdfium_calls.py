"""The fast calls give what pypdfium2's typed functions give."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium
import pytest

from airflow_deepseek_ocr.ocr.documents.pdf_content import pdfium_calls
from tests.conftest import ROOT


@pytest.fixture
def textpage() -> Iterator[pypdfium2.PdfTextPage]:
    with closing(pypdfium2.PdfDocument(ROOT / "demo" / "documents" / "invoice.pdf")) as pdf:
        yield pdf[0].get_textpage()


def test_values_of_characters(textpage: pypdfium2.PdfTextPage) -> None:
    page, count = pdfium_calls.address_of(textpage), textpage.count_chars()
    assert count > 100
    for index in range(count):
        assert pdfium_calls.get_unicode(page, index) == pdfium.FPDFText_GetUnicode(textpage, index)
        assert pdfium_calls.is_generated(page, index) == pdfium.FPDFText_IsGenerated(
            textpage, index
        )
        assert pdfium_calls.has_map_error(page, index) == pdfium.FPDFText_HasUnicodeMapError(
            textpage, index
        )
        handle = pdfium.FPDFText_GetTextObject(textpage, index)
        assert (
            pdfium_calls.get_text_object(page, index) == ctypes.cast(handle, ctypes.c_void_p).value
        )


def test_places_are_written_to_addresses(textpage: pypdfium2.PdfTextPage) -> None:
    typed = [ctypes.c_double() for _ in range(4)]
    assert pdfium.FPDFText_GetCharBox(textpage, 3, *typed)
    found = np.zeros(4)
    addresses = [found.ctypes.data + 8 * position for position in range(4)]
    page = pdfium_calls.address_of(textpage)
    assert pdfium_calls.get_char_box(page, 3, *addresses)
    assert found.tolist() == [value.value for value in typed]
    assert pdfium.FPDFText_GetCharOrigin(textpage, 3, *typed[:2])
    assert pdfium_calls.get_char_origin(page, 3, *addresses[:2])
    assert found[:2].tolist() == [value.value for value in typed[:2]]


def test_an_address_as_page_object(textpage: pypdfium2.PdfTextPage) -> None:
    handle = pdfium.FPDFText_GetTextObject(textpage, 0)
    address = pdfium_calls.get_text_object(pdfium_calls.address_of(textpage), 0)
    same = pdfium_calls.page_object(address)
    assert pdfium.FPDFPageObj_GetType(same) == pdfium.FPDFPageObj_GetType(handle)
    assert ctypes.addressof(same.contents) == ctypes.addressof(handle.contents)


def test_a_place_outside_of_the_text(textpage: pypdfium2.PdfTextPage) -> None:
    page = pdfium_calls.address_of(textpage)
    assert pdfium_calls.get_text_object(page, 100_000) is None
    assert pdfium_calls.is_generated(page, 100_000) == -1

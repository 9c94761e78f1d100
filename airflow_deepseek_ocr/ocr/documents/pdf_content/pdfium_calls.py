"""PDFium's functions for single characters, with arguments that ctypes converts fast.

A page has thousands of characters, and each takes several calls. Addresses instead of typed pointers take a
third of the time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium


def _fast(function: Any, result: Any, *arguments: Any) -> Callable[..., Any]:
    """Return a function of PDFium with other types of its arguments; it must not be closed over by PDFium."""
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    return ctypes.CFUNCTYPE(result, *arguments)(address)


_PAGE, _INT, _OUT = ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p

#: Unicode value of a character: (page, index) -> value.
get_unicode = _fast(pdfium.FPDFText_GetUnicode, ctypes.c_uint, _PAGE, _INT)
#: Whether PDFium inserted a character: (page, index) -> 1, 0 or -1.
is_generated = _fast(pdfium.FPDFText_IsGenerated, _INT, _PAGE, _INT)
#: Whether a character has no Unicode value: (page, index) -> 1, 0 or -1.
has_map_error = _fast(pdfium.FPDFText_HasUnicodeMapError, _INT, _PAGE, _INT)
#: Address of the text object of a character, None without one: (page, index).
get_text_object = _fast(pdfium.FPDFText_GetTextObject, ctypes.c_void_p, _PAGE, _INT)
#: Box of a character: (page, index, left, right, bottom, top), the last four addresses of doubles.
get_char_box = _fast(pdfium.FPDFText_GetCharBox, _INT, _PAGE, _INT, _OUT, _OUT, _OUT, _OUT)
#: Origin of a character: (page, index, x, y), the last two addresses of doubles.
get_char_origin = _fast(pdfium.FPDFText_GetCharOrigin, _INT, _PAGE, _INT, _OUT, _OUT)


def address_of(textpage: pypdfium2.PdfTextPage) -> int:
    """Return the address by which these functions know the text of a page."""
    return ctypes.cast(textpage.raw, ctypes.c_void_p).value or 0


def page_object(address: int) -> pdfium.FPDF_PAGEOBJECT:
    """Return the typed pointer to a page object."""
    return ctypes.cast(address, pdfium.FPDF_PAGEOBJECT)

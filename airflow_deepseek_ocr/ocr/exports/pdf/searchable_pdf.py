"""Searchable PDFs of PDFs: invisible text before the content of each page, which stays as it is.

pikepdf parses the file, so this runs in a process that may be attacked
(:mod:`airflow_deepseek_ocr.ocr.rendering.pdf_worker`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode, MissingExtraError
from airflow_deepseek_ocr.ocr.exports.pdf.glyphless_font import (
    ASCENT,
    DESCENT,
    GLYPH_WIDTH,
    glyph_of_all,
    glyphless_font,
)
from airflow_deepseek_ocr.ocr.exports.pdf.invisible_text import (
    FONT_NAME,
    InvisibleText,
    PageText,
    to_user_space,
)

if TYPE_CHECKING:
    import pikepdf

#: Fields of a form that are searched for signatures, at most.
_MOST_FIELDS = 20_000
#: Words of qpdf's error for encryption with AES where there is no ``/dev/urandom``.
_NO_RANDOM_NUMBERS = "generating random numbers"
#: ``SignaturesExist`` (ISO 32000-2, table 225).
_SIGNATURES_EXIST = 1
#: PDFium's size of a page without a box: US Letter.
_LETTER = (0.0, 0.0, 612.0, 792.0)


def add_text(source: BinaryIO, pages: Mapping[int, PageText], page_count: int, target: Any) -> None:
    """Write a PDF with invisible text; the same input makes the same bytes.

    :param source: an open PDF.
    :param pages: the text of pages, by number from 1; other pages are not touched.
    :param page_count: number of pages that the renderer found.
    :param target: a binary file.
    :raises DocumentError: ``export_protected``, ``export_signed``; ``damaged`` if pages are not those of the
        renderer, or the file cannot be parsed.
    :raises MissingExtraError: pikepdf is not installed.
    """
    try:
        import pikepdf
    except ImportError as error:
        raise MissingExtraError(package="pikepdf", extra="exports") from error
    try:
        # Inherited attributes become the pages' own: a page that gets its first resources would lose others.
        with pikepdf.open(source, inherit_page_attributes=True) as pdf:
            _require_changeable(pdf)
            found = list(pdf.pages)
            if len(found) != page_count:
                raise _damaged(f"it has {len(found):,} pages, and was rendered with {page_count:,}")
            writer, font = InvisibleText(), pdf.make_indirect(pikepdf.Dictionary())
            for number, text in sorted(pages.items()):
                page = found[number - 1]
                matrix = to_user_space(_shown_box(page), _rotation(page), (text.width, text.height))
                name = _free_name(page, font)
                page.add_resource(font, pikepdf.Name.Font, pikepdf.Name(f"/{name}"))
                # Before the page's content: its changes of the state cannot touch the text.
                page.contents_add(writer.stream(text, matrix, font=name), prepend=True)
            _fill_font(pdf, font, writer.character_map())
            # Metadata stay as they are; pikepdf would import a parser of XML to change their version.
            pdf.save(target, deterministic_id=True, fix_metadata_version=False)
    except pikepdf.PasswordError as error:
        raise protected() from error
    except (pikepdf.PdfError, pikepdf.DataDecodingError, RecursionError) as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error
    except RuntimeError as error:
        # qpdf wants random numbers for AES keys, and the sandbox has no device of them.
        if _NO_RANDOM_NUMBERS in str(error):
            raise protected() from error
        raise


def protected() -> DocumentError:
    """Return the error of a PDF whose encryption would be lost."""
    return DocumentError(
        ErrorCode.EXPORT_PROTECTED,
        "The PDF is encrypted, perhaps by an owner's password alone: a changed copy would lose the "
        "encryption and its restrictions. No searchable PDF is made; use another format, or remove the "
        "protection first.",
    )


def _require_changeable(pdf: pikepdf.Pdf) -> None:
    if pdf.is_encrypted:
        raise protected()
    if _is_signed(pdf):
        raise DocumentError(
            ErrorCode.EXPORT_SIGNED,
            "The PDF is signed, and a changed copy would break the signature. No searchable PDF is made; use "
            "another format, or keep an unsigned copy for search.",
        )


def _is_signed(pdf: pikepdf.Pdf) -> bool:
    import pikepdf

    if "/Perms" in pdf.Root:
        return True
    form = pdf.Root.get("/AcroForm")
    if not isinstance(form, pikepdf.Dictionary):
        return False
    try:
        if int(form.get("/SigFlags", 0)) & _SIGNATURES_EXIST:
            return True
    except (TypeError, ValueError):
        return False
    waiting = list(_items(form.get("/Fields")))
    for _ in range(_MOST_FIELDS):
        if not waiting:
            break
        field = waiting.pop()
        if isinstance(field, pikepdf.Dictionary):
            if field.get("/FT") == pikepdf.Name.Sig and "/V" in field:
                return True
            waiting += _items(field.get("/Kids"))
    return False


def _items(value: Any) -> list[Any]:
    import pikepdf

    return list(value) if isinstance(value, pikepdf.Array) else []


def _free_name(page: Any, font: Any) -> str:
    """Return a name that no other font of the page has; another run may have added text before."""
    fonts = page.resources.get("/Font", {})
    for number in count():
        name = f"{FONT_NAME}{number or ''}"
        if f"/{name}" not in fonts or fonts[f"/{name}"].objgen == font.objgen:
            break
    return name


def _fill_font(pdf: pikepdf.Pdf, font: Any, character_map: bytes) -> None:
    """Make a dictionary the font of the invisible text."""
    from pikepdf import Array, Dictionary, Name, String

    program = glyphless_font()
    descriptor = Dictionary(
        Type=Name.FontDescriptor,
        FontName=Name.GlyphLess,
        Flags=5,  # fixed width, symbols
        FontBBox=[0, DESCENT, GLYPH_WIDTH, ASCENT],
        ItalicAngle=0,
        Ascent=ASCENT,
        Descent=DESCENT,
        CapHeight=ASCENT,
        StemV=80,
        FontFile2=pdf.make_stream(program, Length1=len(program)),
    )
    descendant = Dictionary(
        Type=Name.Font,
        Subtype=Name.CIDFontType2,
        BaseFont=Name.GlyphLess,
        CIDSystemInfo=Dictionary(
            Registry=String("Adobe"), Ordering=String("Identity"), Supplement=0
        ),
        FontDescriptor=pdf.make_indirect(descriptor),
        DW=GLYPH_WIDTH,
        CIDToGIDMap=pdf.make_stream(glyph_of_all()),
    )
    font.Type, font.Subtype, font.BaseFont = Name.Font, Name.Type0, Name.GlyphLess
    font.Encoding = Name("/Identity-H")
    font.DescendantFonts = Array([pdf.make_indirect(descendant)])
    font.ToUnicode = pdf.make_stream(character_map)


def _shown_box(page: Any) -> tuple[float, float, float, float]:
    """Return the part of a page that PDFium shows: the crop box within the media box."""
    media = _box(page.obj.get("/MediaBox")) or _LETTER
    crop = _box(page.obj.get("/CropBox"))
    if crop is None:
        return media
    shown = (
        max(media[0], crop[0]),
        max(media[1], crop[1]),
        min(media[2], crop[2]),
        min(media[3], crop[3]),
    )
    return shown if shown[0] < shown[2] and shown[1] < shown[3] else media


def _box(value: Any) -> tuple[float, float, float, float] | None:
    try:
        x1, y1, x2, y2 = (float(each) for each in value)
    except (TypeError, ValueError):
        return None
    box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    return box if all(map(math.isfinite, box)) and box[0] < box[2] and box[1] < box[3] else None


def _rotation(page: Any) -> int:
    try:
        return int(page.obj.get("/Rotate") or 0) // 90 * 90 % 360
    except (TypeError, ValueError):
        return 0


def _damaged(why: str) -> DocumentError:
    return DocumentError(
        ErrorCode.DAMAGED,
        f"No searchable PDF can be made of this file: {why}. Print it to a new PDF, and read that.",
    )

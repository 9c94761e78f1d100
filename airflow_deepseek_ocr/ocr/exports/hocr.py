"""hOCR 1.2: HTML with the places of lines and words, one file for a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.ocr.exports.characters import replace_forbidden
from airflow_deepseek_ocr.ocr.exports.exported import (
    ExportedDocument,
    ExportedPage,
    PixelBox,
    enclosing,
)
from airflow_deepseek_ocr.ocr.exports.word_places import PlacedLine, PlacedWord
from airflow_deepseek_ocr.ocr.page_turns import upright_box

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" \
"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml">
<head>
<title>{title}</title>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8"/>
<meta name="ocr-system" content="airflow-deepseek-ocr {version}"/>
<meta name="ocr-capabilities" content="ocr_page ocr_carea ocr_par ocr_line ocrx_word ocr_photo"/>
<meta name="ocr-number-of-pages" content="{pages}"/>
</head>
<body>
"""
_TAIL = "</body>\n</html>\n"


def hocr_document(document: ExportedDocument, pages: Iterable[str]) -> str:
    """Return the file of a document.

    :param pages: what :func:`hocr_page` returned for each page.
    """
    head = _HEAD.format(title=_text(document.name), version=__version__, pages=len(document.pages))
    return "".join([head, *pages, _TAIL])


def hocr_page(document: ExportedDocument, page: ExportedPage, lines: Sequence[PlacedLine]) -> str:
    """Return the part of a page.

    :param lines: its lines, on the page turned by ``page.rotation``.
    """
    image = _text(document.name.replace('"', "'"))
    # The name is last: readers search properties by their words, which it may contain.
    title = f"{_box((0, 0, page.width, page.height))}; ppageno {page.number - 1}; image &quot;{image}&quot;"
    parts = [f'<div class="ocr_page" id="page_{page.number}" title="{title}">\n']
    written = dict(_blocks(page, lines))
    for region in page.shown_regions:
        if region.is_picture:
            box = _box(enclosing(region.boxes))
            identity = f"photo_{page.number}_{region.position}"
            parts.append(f'<div class="ocr_photo" id="{identity}" title="{box}"></div>\n')
        parts += written.get(region.position, [])
    return "".join([*parts, "</div>\n"])


def _blocks(page: ExportedPage, lines: Sequence[PlacedLine]) -> Iterator[tuple[int, list[str]]]:
    """Yield each region's position, and its block."""
    for position, group in groupby(lines, key=lambda line: line.region):
        of_region = list(group)
        box = _box(_upright(page, enclosing([line.box for line in of_region])))
        identity = f"{page.number}_{position}"
        yield (
            position,
            [
                f'<div class="ocr_carea" id="block_{identity}" title="{box}">'
                f'<p class="ocr_par" id="par_{identity}" dir="auto" title="{box}">\n',
                *(_line(page, line) for line in of_region),
                "</p></div>\n",
            ],
        )


def _line(page: ExportedPage, line: PlacedLine) -> str:
    angle = f"; textangle {page.rotation}" if page.rotation else ""
    title = f"{_box(_upright(page, line.box))}{angle}"
    words = " ".join(_word(page, word) for word in line.words)
    return f'<span class="ocr_line" title="{title}">{words}</span>\n'


def _word(page: ExportedPage, word: PlacedWord) -> str:
    confidence = "" if word.confidence is None else f"; x_wconf {word.confidence}"
    title = f"{_box(_upright(page, word.box))}{confidence}"
    return f'<span class="ocrx_word" title="{title}">{_text(word.text)}</span>'


def _upright(page: ExportedPage, box: PixelBox) -> PixelBox:
    return upright_box(box, page.rotation, (page.width, page.height))


def _box(box: PixelBox) -> str:
    return "bbox " + " ".join(map(str, box))


def _text(text: str) -> str:
    return escape(replace_forbidden(text))

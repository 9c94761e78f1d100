"""The files of a document's exports, made one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from airflow_deepseek_ocr.concurrency.in_order import in_order
from airflow_deepseek_ocr.counted import counted
from airflow_deepseek_ocr.exceptions import ConfigurationError, DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.exports.alto import alto_page
from airflow_deepseek_ocr.ocr.exports.docling import docling_json
from airflow_deepseek_ocr.ocr.exports.document_markdown import document_markdown
from airflow_deepseek_ocr.ocr.exports.exported import ExportedDocument, ExportedPage
from airflow_deepseek_ocr.ocr.exports.formats import (
    WITH_PICTURES,
    WITH_WORDS,
    ExportFile,
    Format,
)
from airflow_deepseek_ocr.ocr.exports.hocr import hocr_document, hocr_page
from airflow_deepseek_ocr.ocr.exports.json_files import document_json, pages_jsonl, regions_jsonl
from airflow_deepseek_ocr.ocr.exports.page_pictures import (
    figure_pictures,
    overlay_picture,
    page_picture,
)
from airflow_deepseek_ocr.ocr.exports.plain_text import document_text
from airflow_deepseek_ocr.ocr.exports.table_csv import table_files
from airflow_deepseek_ocr.ocr.exports.word_places import PlacedLine, place_words
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker
from airflow_deepseek_ocr.pipeline.exports.original import Original, ShownPage
from airflow_deepseek_ocr.pipeline.exports.pdf_export import PdfExport

#: Name, media type and maker of formats with one file of text for a document.
_TEXTS: dict[Format, tuple[str, str, Callable[[ExportedDocument], str]]] = {
    Format.MARKDOWN: ("document.md", "text/markdown", document_markdown),
    Format.TEXT: ("document.txt", "text/plain", document_text),
    Format.JSON: ("document.json", "application/json", document_json),
    Format.JSONL: ("pages.jsonl", "application/x-ndjson", pages_jsonl),
    Format.DOCLING: ("docling.json", "application/json", docling_json),
    Format.REGIONS_JSONL: ("regions.jsonl", "application/x-ndjson", regions_jsonl),
}
#: Formats that take the image of each page in this process.
_OF_IMAGE = WITH_WORDS | {Format.OVERLAY}
#: Threads that make the pages of one document, at most.
_MOST_THREADS = 8
#: Name of the searchable PDF.
PDF_NAME = "document.pdf"


@dataclass(frozen=True)
class RefusedFormat:
    """A format that cannot be made of a document, or lacks some of its pages.

    :param format: the format.
    :param code: why.
    :param error: the same in words, with the remedy.
    :param has_failed: whether a page has no picture that it had when it was read, so that another try may
        have it.
    """

    format: Format
    code: ErrorCode
    error: str
    has_failed: bool = False


@dataclass(frozen=True)
class _PageExports:
    """The exports of one page.

    :param shown: the page.
    :param lines: its words with places.
    :param hocr: its part of the hOCR file.
    :param files: its files.
    :param picture_error: why its picture for people could not be made, of which other formats have no need.
    """

    shown: ShownPage
    lines: tuple[PlacedLine, ...]
    hocr: str
    files: tuple[ExportFile, ...]
    picture_error: DocumentError | None = None

    def without_picture(self) -> _PageExports:
        """Return it without the page's picture."""
        return replace(self, shown=replace(self.shown, rendered=None))


#: Returns the original, or raises why there is none.
GetOriginal = Callable[[], Original]
Made = ExportFile | RefusedFormat


def make_files(
    document: ExportedDocument,
    formats: Sequence[Format],
    get_original: GetOriginal,
    maker: PdfMaker,
    directory: Path,
) -> Iterator[Made]:
    """Yield the files of the formats, and the formats that cannot be made.

    :param document: the results.
    :param formats: the formats.
    :param get_original: called if a format needs pictures.
    :param maker: makes searchable PDFs of PDFs.
    :param directory: for temporary files.
    :raises UnavailableError: the original or a process is out of reach, or the disk is full.
    """
    for each in formats:
        if each in _TEXTS:
            name, media_type, make = _TEXTS[each]
            yield ExportFile(each, name, media_type, make(document).encode("utf-8", "replace"))
    if Format.CSV in formats:
        yield from table_files(document)
    pictured = [each for each in formats if each in WITH_PICTURES]
    # Most documents have no figures, and are not rendered for them.
    if not pictured or (pictured == [Format.FIGURES] and not _with_figures(document)):
        return
    try:
        original = get_original()
    except DocumentError as error:
        for each in pictured:
            yield RefusedFormat(each, error.code, str(error))
        return
    try:
        yield from _with_pictures(document, pictured, original, maker, directory)
    finally:
        original.close()


def _with_pictures(
    document: ExportedDocument,
    formats: Sequence[Format],
    original: Original,
    maker: PdfMaker,
    directory: Path,
) -> Iterator[Made]:
    only_figures = set(formats) <= {Format.FIGURES}
    pages = _with_figures(document) if only_figures else document.pages
    hocr: list[str] = []
    lost = _LostPages()
    with PdfExport(document, original.path, directory / PDF_NAME, maker) as pdf:

        def work(page: ExportedPage) -> _PageExports:
            with original.room:
                made = _of_page(document, original, page, formats)
            # The page takes 12 MB and more.
            return made if Format.PDF in formats else made.without_picture()

        for each in in_order(work, pages, min(original.processes, _MOST_THREADS)):
            if Format.PDF in formats:
                pdf.add_page(each.shown.page, each.shown.rendered, each.lines)
            hocr.append(each.hocr)
            lost.add(each.shown, formats)
            if each.picture_error is not None:
                lost.add(replace(each.shown, error=each.picture_error), [Format.WEBP])
            yield from each.files
        if Format.HOCR in formats:
            text = hocr_document(document, hocr).encode("utf-8", "replace")
            yield ExportFile(Format.HOCR, "document.hocr.html", "text/html", text)
        if Format.PDF in formats:
            made = _pdf(pdf)
            if isinstance(made, ExportFile) or Format.PDF not in lost.formats:
                yield made
    yield from lost.refused()


class _LostPages:
    """The formats that lack a picture which a page had when it was read."""

    def __init__(self) -> None:
        self.formats: dict[Format, list[ShownPage]] = {}

    def add(self, shown: ShownPage, formats: Sequence[Format]) -> None:
        """Note a page, if its picture is lost.

        :param formats: those that lack it.
        """
        if shown.lost is None:
            return
        for each in formats:
            if each is not Format.FIGURES or shown.page.figures:
                self.formats.setdefault(each, []).append(shown)

    def refused(self) -> Iterator[RefusedFormat]:
        """Yield the formats with the reason of their first page."""
        for each, pages in self.formats.items():
            first, more = pages[0], counted(len(pages) - 1, "other page")
            error = first.lost
            if error is not None:
                numbers = f"page {first.page.number}" + (f" and {more}" if len(pages) > 1 else "")
                message = (
                    f"The picture of {numbers} could not be made, although it could be when the page was "
                    f"read: {error} The next export makes it again."
                )
                yield RefusedFormat(each, error.code, message, has_failed=True)


def _with_figures(document: ExportedDocument) -> tuple[ExportedPage, ...]:
    return tuple(page for page in document.pages if page.figures)


def _of_page(
    document: ExportedDocument, original: Original, page: ExportedPage, formats: Sequence[Format]
) -> _PageExports:
    """Return the exports of one page; called in several threads."""
    shown = original.show(page)
    # Decoding takes the interpreter lock from the threads that read pages.
    is_decoded = bool(_OF_IMAGE & set(formats)) or (Format.FIGURES in formats and page.figures)
    image = shown.image if is_decoded else None
    lines: tuple[PlacedLine, ...] = ()
    files: list[ExportFile] = []
    picture_error: DocumentError | None = None
    if WITH_WORDS & set(formats):
        lines = place_words(page, image)
    if Format.ALTO in formats:
        name, content = f"page-{page.number:04d}.alto.xml", alto_page(document, page, lines)
        files.append(ExportFile(Format.ALTO, name, "application/xml", content, page.number))
    if Format.WEBP in formats and shown.rendered is not None:
        try:
            files.append(page_picture(page, original.picture(page, shown.rendered)))
        except DocumentError as error:
            picture_error = error
    if image is not None:
        if Format.OVERLAY in formats:
            files.append(overlay_picture(page, image))
        if Format.FIGURES in formats:
            files += figure_pictures(page, image)
    hocr = hocr_page(document, page, lines) if Format.HOCR in formats else ""
    return _PageExports(shown, lines, hocr, tuple(files), picture_error)


def _pdf(pdf: PdfExport) -> Made:
    try:
        return ExportFile(Format.PDF, PDF_NAME, "application/pdf", pdf.finish())
    except (DocumentError, ConfigurationError) as error:
        return RefusedFormat(Format.PDF, error.code, str(error))

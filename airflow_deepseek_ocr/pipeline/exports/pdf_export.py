"""The searchable PDF of a document: of a PDF in a child process, of images page by page."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode, local_disk
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.exports.exported import ExportedDocument, ExportedPage
from airflow_deepseek_ocr.ocr.exports.pdf.invisible_text import PageText
from airflow_deepseek_ocr.ocr.exports.pdf.jpeg_header import read_jpeg_header
from airflow_deepseek_ocr.ocr.exports.pdf.picture_pdf import PicturePdf
from airflow_deepseek_ocr.ocr.exports.word_places import PlacedLine
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker
from airflow_deepseek_ocr.ocr.results import PageStatus

_PDF, _JPEG = "application/pdf", "image/jpeg"
#: Share of the words that the page has as embedded text already, from which it gets no others: searches would
#: find each twice. A scan may have a stamped number as its only text.
_OWN_TEXT = 0.5


class PdfExport:
    """Collects the words of a document's pages, and makes its searchable PDF. Use it as a context manager.

    :param document: the document.
    :param original: its local copy.
    :param target: the file to write.
    :param maker: makes searchable PDFs of PDFs.
    """

    def __init__(
        self, document: ExportedDocument, original: Path, target: Path, maker: PdfMaker
    ) -> None:
        self._document, self._original, self._target = document, original, target
        self._maker, self._texts = maker, dict[int, PageText]()
        self._stack = ExitStack()
        self._pictures: PicturePdf | None = None
        self._missing: int | None = None

    def __enter__(self) -> PdfExport:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add_page(
        self, page: ExportedPage, rendered: Page | None, lines: tuple[PlacedLine, ...]
    ) -> None:
        """Add a page.

        :param page: its results.
        :param rendered: its picture; None if it cannot be rendered.
        :param lines: its words.
        :raises UnavailableError: ``local_disk``.
        """
        text = None
        if lines and not _has_own_text(page, rendered, lines):
            text = PageText.of(lines, (page.width, page.height), page.rotation)
        if self._document.media_type == _PDF:
            if text is not None:
                self._texts[page.number] = text
        elif rendered is None:
            self._missing = self._missing or page.number
        else:
            try:
                self._add_picture(rendered, text)
            except OSError as error:
                raise self._disk(error) from error

    def finish(self) -> Path:
        """Write the rest of the PDF, and return the file.

        :raises DocumentError: it cannot be made of this document.
        :raises UnavailableError: ``local_disk``, ``renderer_unavailable``, ``renderer_killed``.
        """
        if self._missing is not None:
            raise DocumentError(
                ErrorCode.DAMAGED_PAGE,
                f"No searchable PDF is made, because page {self._missing} cannot be rendered. Repair or "
                "convert the document.",
            )
        try:
            if self._document.media_type != _PDF:
                self._writer().finish()
                self._stack.close()
            else:
                content = self._maker.make(self._original, self._texts, self._document.page_count)
                with self._target.open("wb") as file:
                    for chunk in content:
                        file.write(chunk)
        except OSError as error:
            raise self._disk(error) from error
        return self._target

    def _writer(self) -> PicturePdf:
        if self._pictures is None:
            file: BinaryIO = self._stack.enter_context(self._target.open("wb"))
            self._pictures = PicturePdf(file)
        return self._pictures

    def _add_picture(self, rendered: Page, text: PageText | None) -> None:
        image, jpeg = rendered.image, None
        if self._document.media_type == _JPEG:
            image, jpeg = _with_jpeg(image, self._original)
        self._writer().add_page(image, text, dpi=rendered.dpi or None, jpeg=jpeg)

    def _disk(self, error: OSError) -> Exception:
        return local_disk(f"The searchable PDF of {self._document.uri} cannot be written", error)


def _has_own_text(page: ExportedPage, rendered: Page | None, lines: tuple[PlacedLine, ...]) -> bool:
    """Return whether searches find the page's text without further words."""
    if page.status == PageStatus.TEXT_LAYER:
        return True
    if rendered is None or rendered.text_layer is None:
        return False
    own = len(rendered.text_layer.text.split())
    return own >= _OWN_TEXT * sum(len(line.words) for line in lines)


def _with_jpeg(image: Image.Image, original: Path) -> tuple[Image.Image, bytes | None]:
    """Return the image in the colours of a JPEG, and its bytes if a PDF can take them."""
    header = read_jpeg_header(original)
    if header is None or not header.is_upright or (header.width, header.height) != image.size:
        return image, None
    return image.convert("L") if header.components == 1 else image, original.read_bytes()

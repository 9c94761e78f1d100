"""The protocol of a document, and a page image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.unshown import (
    NO_ATTACHMENTS,
    AttachedFile,
    Attachments,
)
from airflow_deepseek_ocr.ocr.page_pixels import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import Image

    from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
    from airflow_deepseek_ocr.ocr.edge_density import EdgeDensity
    from airflow_deepseek_ocr.ocr.line_direction import LineDirection
    from airflow_deepseek_ocr.ocr.page_pixels import PageImage


@dataclass(frozen=True)
class Page:
    """One page as an image.

    :param number: from 1.
    :param pixels: the image: RGB, 8 bits a channel, upright. A page without color that a rendering process
        has sent has one channel.
    :param text_layer: the text that the file contains for this page; None if its type has no text.
    :param dynamic_form: whether the document is a dynamic XFA form, of which the page is a placeholder.
    :param attachments: files attached to the page; on the first page read, also those of the document.
    :param attached: files attached to the page that are read as separate documents.
    :param edge_density: the measure of the image, if it was taken when the page was rendered.
    :param dpi: resolution of the image that the file names; 0 if it names none. Pages of PDFs have 0.
    :param line_direction: the direction of its lines of text, if it was found when the page was rendered.
    :param render_again: returns the same image again; None if nothing but ``pixels`` has it. It raises the
        errors of :meth:`Document.page`.
    """

    number: int
    pixels: PageImage
    text_layer: TextLayer | None = None
    dynamic_form: bool = False
    attachments: Attachments = NO_ATTACHMENTS
    attached: tuple[AttachedFile, ...] = ()
    edge_density: EdgeDensity | None = None
    dpi: int = 0
    line_direction: LineDirection | None = None
    render_again: Callable[[], Image.Image] | None = None

    @property
    def image(self) -> Image.Image:
        """The image in RGB; decoded at each call if a rendering process has sent it."""
        image = decoded(self.pixels)
        return image.convert("RGB") if image.mode == "L" else image


class Document(AbstractContextManager["Document"], ABC):
    """An open document. Use it as a context manager.

    :ivar media_type: its type by content, such as ``application/pdf``.
    :ivar page_count: number of pages in the file.
    :ivar page_numbers: the selected pages, ascending, from 1.
    :ivar dynamic_form: whether it is a dynamic XFA form.
    :ivar attachments: files attached to it as a whole, and to the pages rendered so far, that are not read.
    :ivar attached: files attached to it as a whole that are read as separate documents.
    """

    media_type: str
    page_count: int
    page_numbers: tuple[int, ...]
    dynamic_form: bool = False
    attachments: Attachments = NO_ATTACHMENTS
    attached: tuple[AttachedFile, ...] = ()

    @abstractmethod
    def page(self, number: int) -> Page:
        """Return page ``number`` as an image; the document keeps no copy.

        :raises DocumentError: this page cannot be read; other pages may be readable.
        """

    def attached_content(self, number: int) -> Iterator[bytes]:
        """Yield the content of an attached file in chunks.

        :param number: see :class:`AttachedFile`.
        :raises DocumentError: ``missing_file``, ``empty_file``, ``too_many_bytes``, ``damaged``.
        """
        raise no_attached_file(number)

    @abstractmethod
    def close(self) -> None:
        """Release the file."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _select(self, selection: PageSelection, limits: Limits) -> None:
        """Fill ``page_numbers``, within the limits."""
        numbers = selection.of(self.page_count)
        limits.check_pages(len(numbers))
        self.page_numbers = tuple(numbers)


def no_attached_file(number: int) -> DocumentError:
    """Return the error for a number that no attached file has."""
    return DocumentError(
        ErrorCode.MISSING_FILE,
        f"The document has no attached file number {number}. Read the document again.",
    )

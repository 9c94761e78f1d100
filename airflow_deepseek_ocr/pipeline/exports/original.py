"""The original of a document, whose pages exports show."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from airflow_deepseek_ocr.exceptions import DocumentError
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.exports.exported import ExportedDocument, ExportedPage
from airflow_deepseek_ocr.ocr.exports.page_pictures import encode_webp, scaled_size
from airflow_deepseek_ocr.ocr.page_pixels import PagePixels
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool, SharedDocument


@dataclass(frozen=True)
class ShownPage:
    """A page with its picture.

    :param page: the page's results.
    :param rendered: its picture and embedded text; None if it cannot be rendered.
    :param error: why it cannot.
    """

    page: ExportedPage
    rendered: Page | None
    error: DocumentError | None = None

    @property
    def lost(self) -> DocumentError | None:
        """Why the page has no picture although it had one when it was read; a later try may have it again."""
        return self.error if self.page.width and self.page.height else None

    @property
    def image(self) -> Image.Image | None:
        """The picture, in the size to which the boxes belong."""
        if self.rendered is None:
            return None
        image, size = self.rendered.image, (self.page.width, self.page.height)
        return image if image.size == size or not all(size) else image.resize(size)


class Original:
    """Renders the pages of an original again; several threads may use it.

    :param path: its local copy.
    :param document: its results.
    :param pool: renders it.
    :param with_text: whether pages get their embedded text.
    """

    def __init__(
        self, path: Path, document: ExportedDocument, pool: RenderPool, *, with_text: bool
    ) -> None:
        self.path, self._pool = path, pool
        # Only the pages that were read: the file may have more than max_pages.
        selection = PageSelection(tuple((page.number, page.number) for page in document.pages))
        request = OpenRequest(selection, document.dpi, text_layer=with_text, edge_density=False)
        self._shared = SharedDocument(path, request)

    @property
    def processes(self) -> int:
        """Number of pages that can be rendered at the same time."""
        return self._pool.processes

    @property
    def room(self) -> AbstractContextManager[bool]:
        """Room in memory for a page, for as long as its picture is needed."""
        return self._pool.later_room

    def show(self, page: ExportedPage) -> ShownPage:
        """Return a page with its picture.

        :raises UnavailableError: ``renderer_unavailable``, ``renderer_killed``.
        """

        def render(opened: Document) -> Page:
            return opened.page(page.number)

        try:
            rendered: Page = self._pool.submit_later(self._shared, render).result()
        except DocumentError as error:
            return ShownPage(page, None, error)
        return ShownPage(page, rendered)

    def picture(self, page: ExportedPage, rendered: Page) -> bytes:
        """Return the picture of a page as WebP.

        :param page: its results, with the size to which the boxes belong.
        :param rendered: its image.
        :raises DocumentError: ``crashed``, ``too_slow``, ``too_much_memory``.
        :raises UnavailableError: ``renderer_unavailable``, ``renderer_killed``.
        """
        pixels, size = rendered.pixels, (page.width, page.height)
        size = scaled_size(size if all(size) else pixels.size)
        if isinstance(pixels, PagePixels):
            return self._pool.pictures.webp(pixels, size)
        return encode_webp(pixels, size)

    def close(self) -> None:
        """Let the rendering processes close it."""
        self._pool.finish(self._shared)

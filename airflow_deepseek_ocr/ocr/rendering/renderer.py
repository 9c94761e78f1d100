"""Documents opened and drawn in a process of its own, within limits of time and memory.

A file of two kilobytes can keep PDFium busy for hours, take all memory, or end the process by a defect in
a decoder written in C. In the task's own process that would end the task, and its retry, and the next. So
a :class:`Renderer` has the work done by a child (:mod:`airflow_deepseek_ocr.ocr.rendering.worker`); if that
dies, the page or document fails with a reason, and the next one gets a new child. It keeps accidents away,
not attackers: the child has the rights of this process.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, DocumentError
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.limits import DEFAULT_DPI, Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.rendering.child_process import Child, DiedError
from airflow_deepseek_ocr.ocr.rendering.messages import Opened, OpenRequest

#: Pages of one document that may end a child each; every one may take as long as the limit allows.
_MOST_DEATHS = 3


class Renderer:
    """Opens documents, one at a time, in a child that starts when the first is opened.

    Not safe for several threads at once.

    :param limits: what a document may cost.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._child: Child | None = None

    def open(
        self, path: Path, *, selection: PageSelection | None = None, dpi: int = DEFAULT_DPI
    ) -> Document:
        """Open a file as pages; see :func:`~airflow_deepseek_ocr.ocr.documents.open.open_document`.

        :raises DocumentError: as there, and ``too_slow``, ``too_much_memory``, ``crashed``,
            ``unreadable``; so do its pages.
        """
        request = OpenRequest(path.absolute(), selection or PageSelection(), dpi, self._limits)
        return _DrawnDocument(self, request)

    def child(self) -> Child:
        """The child, alive."""
        if self._child is None or self._child.dead:
            self._child = Child(self._limits)
        return self._child

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _DrawnDocument(Document):
    """A document that a child has open."""

    def __init__(self, renderer: Renderer, request: OpenRequest) -> None:
        self._drawer, self._request = renderer, request
        self._deaths: list[DiedError] = []
        opened = self._open()
        self.media_type, self.page_count = opened.media_type, opened.page_count
        self.page_numbers = opened.page_numbers

    def page(self, number: int) -> Page:
        """See :meth:`Document.page`."""
        if len(self._deaths) >= _MOST_DEATHS:
            raise DocumentError(
                self._deaths[-1].code,
                f"Page {number} was not tried, after {len(self._deaths)} pages that could not be drawn: "
                f"{self._deaths[-1]}",
            )
        try:
            if self._child.dead:
                self._open()
            return self._child.draw(number)
        except DiedError as error:
            self._deaths.append(error)
            raise

    def close(self) -> None:
        """See :meth:`Document.close`."""
        # A child that died has no file open any more, and one that dies of this none either.
        if not self._child.dead:
            with suppress(DeepSeekOCRError):
                self._child.ask(None, "Closing the document")

    def _open(self) -> Opened:
        self._child = self._drawer.child()
        opened = self._child.ask(self._request, "Opening the document")
        assert isinstance(opened, Opened)  # noqa: S101 - the answer to an OpenRequest
        return opened

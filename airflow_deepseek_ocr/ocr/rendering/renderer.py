"""Documents, opened and rendered in a child process within limits of time and memory.

A file of two kilobytes can keep PDFium busy for hours, exhaust the memory, or crash a decoder written in C.
In the process of the task, that would end the task and all its retries. So a :class:`Renderer` starts a child
(:mod:`airflow_deepseek_ocr.ocr.rendering.worker`). If the child dies, the page or document fails with a
reason, and the next one gets a new child. The child has given up all rights that decoding does not need
(:mod:`airflow_deepseek_ocr.ocr.rendering.sandbox.restrict`), and nothing that it sends is trusted.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, DocumentError
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.limits import DEFAULT_DPI, Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.rendering.child_process import ChildDiedError, ChildProcess
from airflow_deepseek_ocr.ocr.rendering.messages import Opened, OpenRequest
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox

#: Pages of one document that may end a child. Each of them may take the whole ``max_page_seconds``.
_MAX_DEATHS = 3


class Renderer(AbstractContextManager["Renderer"]):
    """Opens documents, one at a time, in a child that starts with the first document.

    Use it as a context manager, from one thread at a time.

    :param limits: limits of each document.
    :param sandbox: restrictions of the child.
    """

    def __init__(self, limits: Limits, sandbox: Sandbox = Sandbox.AUTO) -> None:
        self._limits, self._sandbox = limits, sandbox
        self._child: ChildProcess | None = None

    def open(
        self, path: Path, *, selection: PageSelection | None = None, dpi: int = DEFAULT_DPI
    ) -> Document:
        """Open a file as a document; see :func:`~airflow_deepseek_ocr.ocr.documents.open.open_document`.

        :raises DocumentError: the codes of that function, ``too_slow``, ``too_much_memory``, ``crashed``
            and ``unreadable``; :meth:`Document.page` raises them as well.
        :raises UnavailableError: ``renderer_unavailable`` if the child does not start, ``renderer_killed`` if
            another process ends it; :meth:`Document.page` raises them as well.
        """
        request = OpenRequest(selection or PageSelection(), dpi)
        return _RenderedDocument(self, path.absolute(), request)

    def require_sandbox(self) -> None:
        """Start the child if its sandbox is required, so that a host without it opens no document.

        :raises ConfigurationError: ``sandbox_unavailable``.
        :raises UnavailableError: ``renderer_unavailable`` if the child does not start.
        """
        if self._sandbox is Sandbox.REQUIRED:
            self.child()

    def check_page_count(self, selection: PageSelection, page_count: int) -> tuple[int, ...]:
        """Return the selected pages of a document.

        :param page_count: number of pages that the child reported.
        :raises DocumentError: ``no_such_page``, ``too_many_pages``.
        """
        numbers = tuple(selection.of(page_count))
        self._limits.check_pages(len(numbers))
        return numbers

    def child(self) -> ChildProcess:
        """Return a living child; start one if there is none.

        :raises UnavailableError: ``renderer_unavailable`` if it does not start.
        :raises ConfigurationError: ``sandbox_unavailable`` if its sandbox is required and incomplete.
        """
        if self._child is None or self._child.dead:
            self._child = ChildProcess(self._limits, self._sandbox)
        return self._child

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _RenderedDocument(Document):
    """A document that is open in a child."""

    def __init__(self, renderer: Renderer, path: Path, request: OpenRequest) -> None:
        self._renderer, self._path, self._request = renderer, path, request
        self._deaths: list[ChildDiedError] = []
        opened = self._open()
        self.media_type, self.page_count = opened.media_type, opened.page_count
        self.dynamic_form, self.attachments = opened.dynamic_form, opened.attachments
        self.page_numbers = renderer.check_page_count(request.selection, opened.page_count)

    def page(self, number: int) -> Page:
        """See :meth:`Document.page`."""
        if len(self._deaths) >= _MAX_DEATHS:
            raise DocumentError(
                self._deaths[-1].code,
                f"Page {number} was not tried, because {len(self._deaths)} pages could not be rendered. "
                f"The last reason: {self._deaths[-1]}",
            )
        try:
            if self._child.dead:
                self._open()
            page = self._child.page(number)
        except ChildDiedError as error:
            self._deaths.append(error)
            raise
        self.attachments += page.attachments
        if number == self.page_numbers[0]:
            page = replace(page, attachments=self.attachments)
        return replace(page, dynamic_form=self.dynamic_form)

    def close(self) -> None:
        """See :meth:`Document.close`."""
        # A dead child has no open file, even if closing the document killed it.
        if not self._child.dead:
            with suppress(DeepSeekOCRError):
                self._child.close_document()

    def _open(self) -> Opened:
        self._child = self._renderer.child()
        return self._child.open_document(self._path, self._request)

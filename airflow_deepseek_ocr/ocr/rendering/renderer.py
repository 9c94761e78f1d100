"""Documents, opened and rendered in a child process within limits of time and memory.

A file of two kilobytes can keep PDFium busy for hours, exhaust the memory, or crash a decoder written in C.
In the process of the task, that would end the task and all its retries. So a :class:`Renderer` starts a child
(:mod:`airflow_deepseek_ocr.ocr.rendering.worker`). If the child dies, the page or document fails with a
reason, and the next one gets a new child. This protects against accidents, not against attackers: the child
has the permissions of its parent.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, DocumentError
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.limits import DEFAULT_DPI, Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.rendering.child_process import ChildDiedError, ChildProcess
from airflow_deepseek_ocr.ocr.rendering.messages import Opened, OpenRequest

#: Pages of one document that may end a child. Each of them may take the whole ``max_page_seconds``.
_MAX_DEATHS = 3


class Renderer(AbstractContextManager["Renderer"]):
    """Opens documents, one at a time, in a child that starts with the first document.

    Use it as a context manager, from one thread at a time.

    :param limits: limits of each document.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
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
        request = OpenRequest(path.absolute(), selection or PageSelection(), dpi, self._limits)
        return _RenderedDocument(self, request)

    def child(self) -> ChildProcess:
        """Return a living child; start one if there is none.

        :raises UnavailableError: ``renderer_unavailable`` if it does not start.
        """
        if self._child is None or self._child.dead:
            self._child = ChildProcess(self._limits)
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

    def __init__(self, renderer: Renderer, request: OpenRequest) -> None:
        self._renderer, self._request = renderer, request
        self._deaths: list[ChildDiedError] = []
        opened = self._open()
        self.media_type, self.page_count = opened.media_type, opened.page_count
        self.page_numbers = opened.page_numbers

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
            return self._child.page(number)
        except ChildDiedError as error:
            self._deaths.append(error)
            raise

    def close(self) -> None:
        """See :meth:`Document.close`."""
        # A dead child has no open file, even if closing the document killed it.
        if not self._child.dead:
            with suppress(DeepSeekOCRError):
                self._child.close_document()

    def _open(self) -> Opened:
        self._child = self._renderer.child()
        return self._child.open_document(self._request)

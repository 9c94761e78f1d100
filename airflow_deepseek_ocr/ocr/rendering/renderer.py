"""Documents, opened and rendered in a child process within limits of time and memory.

A file of two kilobytes can keep PDFium busy for hours, exhaust the memory, or crash a decoder written in C.
In the process of the task, that would end the task and all its retries. So a :class:`Renderer` starts a child
(:mod:`airflow_deepseek_ocr.ocr.rendering.worker`). If the child dies, the page or document fails with a
reason, and the next one gets a new child. The child has given up all rights that decoding does not need
(:mod:`airflow_deepseek_ocr.ocr.rendering.sandbox.restrict`), and nothing that it sends is trusted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
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


class Deaths:
    """The processes that died of one document; several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: list[ChildDiedError] = []

    def add(self, error: ChildDiedError) -> None:
        """Add a death."""
        with self._lock:
            self._errors.append(error)

    def check(self, number: int) -> None:
        """Refuse a page of a document of which too many processes died.

        :param number: the page's number, from 1.
        :raises DocumentError: the code of the last death.
        """
        with self._lock:
            errors = list(self._errors)
        if len(errors) >= _MAX_DEATHS:
            raise DocumentError(
                errors[-1].code,
                f"Page {number} was not tried, because {len(errors)} pages could not be rendered. "
                f"The last reason: {errors[-1]}",
            )


class Renderer(AbstractContextManager["Renderer"]):
    """Opens documents, one at a time, in a child that starts with the first document.

    Use it as a context manager, from one thread at a time.

    :param limits: limits of each document.
    :param sandbox: restrictions of the child.
    """

    def __init__(self, limits: Limits, sandbox: Sandbox = Sandbox.AUTO) -> None:
        self._limits, self._sandbox = limits, sandbox
        self._child: ChildProcess | None = None
        self._killed = False

    def open(
        self,
        path: Path,
        *,
        selection: PageSelection | None = None,
        dpi: int = DEFAULT_DPI,
        attachments: bool = False,
    ) -> Document:
        """Open a file as a document; see :func:`~airflow_deepseek_ocr.ocr.documents.open.open_document`.

        :raises DocumentError: the codes of that function, ``too_slow``, ``too_much_memory``, ``crashed``
            and ``unreadable``; :meth:`Document.page` raises them as well.
        :raises UnavailableError: ``renderer_unavailable`` if the child does not start, ``renderer_killed`` if
            another process ends it; :meth:`Document.page` raises them as well.
        """
        request = OpenRequest(selection or PageSelection(), dpi, attachments=attachments)
        return self.open_request(path, request, Deaths())

    def open_request(self, path: Path, request: OpenRequest, deaths: Deaths) -> Document:
        """Open a file as a document, as :meth:`open` does.

        :param request: the pages to read, and the measures to take of them.
        :param deaths: those of the same document in other processes.
        """
        return _RenderedDocument(self, path.absolute(), request, deaths)

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
            if self._killed:  # meanwhile, by a thread that found no child
                self._child.kill()
        return self._child

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def kill(self) -> None:
        """Kill the child, and any that starts later, from another thread; their requests fail."""
        self._killed = True
        child = self._child
        if child is not None:
            child.kill()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _RenderedDocument(Document):
    """A document that is open in a child."""

    def __init__(
        self, renderer: Renderer, path: Path, request: OpenRequest, deaths: Deaths
    ) -> None:
        self._renderer, self._path, self._request = renderer, path, request
        self._deaths = deaths
        opened = self._open()
        self.media_type, self.page_count = opened.media_type, opened.page_count
        self.dynamic_form, self.attachments = opened.dynamic_form, opened.attachments
        self.attached = opened.attached
        self.page_numbers = renderer.check_page_count(request.selection, opened.page_count)

    def page(self, number: int) -> Page:
        """See :meth:`Document.page`."""
        self._deaths.check(number)
        try:
            if self._child.dead:
                self._open()
            page = self._child.page(number)
        except ChildDiedError as error:
            self._deaths.add(error)
            raise
        self.attachments += page.attachments
        if number == self.page_numbers[0]:
            page = replace(page, attachments=self.attachments)
        return replace(page, dynamic_form=self.dynamic_form)

    def attached_content(self, number: int) -> Iterator[bytes]:
        """See :meth:`Document.attached_content`; an open child has the document."""
        if self._child.dead:
            self._open()
        yield from self._child.attached_content(number)

    def close(self) -> None:
        """See :meth:`Document.close`."""
        # A dead child has no open file, even if closing the document killed it.
        if not self._child.dead:
            with suppress(DeepSeekOCRError):
                self._child.close_document()

    def _open(self) -> Opened:
        self._child = self._renderer.child()
        return self._child.open_document(self._path, self._request)

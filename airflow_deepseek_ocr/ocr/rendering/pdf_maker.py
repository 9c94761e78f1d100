"""Searchable PDFs of documents of unknown origin, made in a child process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.exports.formats import Format, require_packages
from airflow_deepseek_ocr.ocr.exports.pdf.invisible_text import PageText
from airflow_deepseek_ocr.ocr.rendering.child_process import ChildProcess
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox

#: The program of the child.
PDF_WORKER = "airflow_deepseek_ocr.ocr.rendering.pdf_worker"


class PdfMaker(AbstractContextManager["PdfMaker"]):
    """Makes searchable PDFs in a child that starts with the first one; several threads may use it.

    :param limits: ``max_page_seconds`` limits each document, ``max_page_memory`` the child.
    :param sandbox: restrictions of the child.
    """

    def __init__(self, limits: Limits, sandbox: Sandbox = Sandbox.AUTO) -> None:
        self._limits, self._sandbox = limits, sandbox
        self._child: ChildProcess | None = None
        self._lock = threading.Lock()

    def make(self, path: Path, pages: Mapping[int, PageText], page_count: int) -> Iterator[bytes]:
        """Yield a PDF with invisible text, in chunks.

        :param path: the PDF.
        :param pages: the text of pages, by number.
        :param page_count: number of its pages.
        :raises DocumentError: ``export_protected``, ``export_signed``, ``export_too_large``, ``damaged``,
            ``too_slow``, ``too_much_memory``, ``crashed``, ``unreadable``.
        :raises UnavailableError: ``renderer_unavailable``, ``renderer_killed``.
        :raises MissingExtraError: ``missing_extra`` without pikepdf.
        """
        texts = [[number, text.as_list()] for number, text in sorted(pages.items())]
        # As ASCII: halves of surrogate pairs have no UTF-8.
        content = json.dumps(texts).encode("ascii")
        with self._lock:
            if self._child is None or self._child.dead:
                require_packages([Format.PDF])
                self._child = ChildProcess(self._limits, self._sandbox, module=PDF_WORKER)
            yield from self._child.searchable_pdf(path, content, page_count)

    def close(self) -> None:
        """End the child."""
        with self._lock:
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

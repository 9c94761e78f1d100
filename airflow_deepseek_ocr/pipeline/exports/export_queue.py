"""Threads that export documents as soon as they have ended, while others are read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Protocol

from airflow_deepseek_ocr.counted import counted
from airflow_deepseek_ocr.exceptions import (
    DatabaseError,
    DeepSeekOCRError,
    ErrorCode,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.exports.formats import WITH_WORDS, Format
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from airflow_deepseek_ocr.pipeline.exports.export_rows import ExportRows
from airflow_deepseek_ocr.pipeline.exports.exporter import Exported, Exporter
from airflow_deepseek_ocr.pipeline.exports.original import Original
from airflow_deepseek_ocr.sources.base import Source
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.pages.exported_documents import (
    StoredDocument,
    read_document,
)
from airflow_deepseek_ocr.targets.base import ExportTarget
from airflow_deepseek_ocr.targets.names import directory_of

log = logging.getLogger(__name__)

#: Threads for each rendering process, and at most. A thread waits nearly all the time: for a page that is
#: rendered and encoded in other processes, for files and rows that are written. Four threads exported 9 scans
#: a second (docs/measurements/exports.md), half of what a GPU reads.
_THREADS_PER_PROCESS, _MOST_THREADS = 2, 16


@dataclass(frozen=True)
class ExportPlan:
    """Which exports are made of each document.

    :param target: the place.
    :param formats: the formats.
    """

    target: ExportTarget
    formats: tuple[Format, ...]


class ExportEvents(Protocol):
    """What the queue tells about documents, in its threads."""

    def exported(self, ref: DocumentRef, exported: Exported) -> None:
        """Note the exports of a document."""
        ...

    def export_failed(self, ref: DocumentRef, error: DeepSeekOCRError) -> None:
        """Note that a document's exports could not be made or written."""
        ...


class ExportQueue(AbstractContextManager["ExportQueue"]):
    """Exports documents; several threads may use it. Use it as a context manager.

    :param plan: the exports.
    :param database: has the results.
    :param pool: renders pages again.
    :param source: fetches originals that are not at hand.
    :param directory: for copies of these.
    :param limits: limits of each document.
    :param sandbox: restrictions of the process that makes searchable PDFs.
    :param events: hears about documents.
    """

    def __init__(
        self,
        plan: ExportPlan,
        database: Database,
        pool: RenderPool,
        source: Source,
        directory: Path,
        events: ExportEvents,
        *,
        limits: Limits,
        sandbox: Sandbox,
    ) -> None:
        self._database, self._pool, self._source = database, pool, source
        self._directory, self._events = directory, events
        self._formats, self._target = plan.formats, plan.target
        self._maker = PdfMaker(limits, sandbox)
        self._exporter = Exporter(plan.target, plan.formats, self._maker)
        self._threads = ThreadPoolExecutor(
            min(_THREADS_PER_PROCESS * pool.processes, _MOST_THREADS), thread_name_prefix="export"
        )
        self._rows = ExportRows(database)
        self._lock, self._numbers = threading.Lock(), count()
        self._waiting: set[Future[None]] = set()
        self._error: BaseException | None = None

    def add(
        self,
        ref: DocumentRef,
        document_key: str,
        path: Path | None = None,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Export a document that has ended, if its exports are missing or outdated.

        :param ref: the document.
        :param document_key: its row.
        :param path: its local copy; None fetches the original if a format needs it.
        :param done: called in another thread when the copy is not needed any more.
        """

        def work() -> None:
            try:
                self._export(ref, document_key, path)
            finally:
                done()

        with self._lock:
            future = self._threads.submit(work)
            self._waiting.add(future)
        future.add_done_callback(self._ended)

    def finish(self) -> None:
        """Wait until all documents are exported.

        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """
        while waiting := self._some_waiting():
            if len(waiting) > 1:
                log.info("Waiting for the exports of %s.", counted(len(waiting), "document"))
            for future in waiting:
                future.exception()
        if self._error is not None:
            raise self._error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._maker.close()

    def _some_waiting(self) -> tuple[Future[None], ...]:
        with self._lock:
            return tuple(self._waiting)

    def _ended(self, future: Future[None]) -> None:
        with self._lock:
            self._waiting.discard(future)
            if not future.cancelled() and self._error is None:
                self._error = future.exception()

    def _export(self, ref: DocumentRef, document_key: str, path: Path | None) -> None:
        stored = read_document(self._database, document_key)
        if stored is None or not stored.document.pages:
            return
        document = stored.document
        place = directory_of(document.uri, document.version_key, document.config_key)
        try:
            with self._original(stored, path) as get_original:
                exported = self._exporter.export(document, place, get_original)
        except DatabaseError:
            raise
        except DeepSeekOCRError as error:
            self._events.export_failed(ref, error)
        except Exception as error:
            log.exception("The exports of %s failed.", ref.uri)
            message = f"{type(error).__name__}: {error}. The traceback is in the log; report it."
            self._events.export_failed(ref, UnavailableError(ErrorCode.EXPORT_FAILED, message))
        else:
            self._rows.write(stored.document_id, exported.files)
            self._events.exported(ref, exported)
            if failed := exported.failed:
                names = ", ".join(each.format for each in failed)
                self._events.export_failed(
                    ref, UnavailableError(failed[0].code, f"{names}: {failed[0].error}")
                )

    @contextmanager
    def _original(
        self, stored: StoredDocument, path: Path | None
    ) -> Iterator[Callable[[], Original]]:
        """Yield a function that returns the original; a copy that it fetched is removed at the end."""
        copies: list[Path] = []

        def get() -> Original:
            found = path
            if found is None:
                found = self._directory / f"document-export-{next(self._numbers)}"
                copies.append(found)
                self._fetch(stored.ref, found)
            with_text = bool(WITH_WORDS & set(self._formats))
            return Original(found, stored.document, self._pool, with_text=with_text)

        try:
            yield get
        finally:
            for copy in copies:
                copy.unlink(missing_ok=True)

    def _fetch(self, ref: DocumentRef, path: Path) -> None:
        try:
            self._source.fetch(ref, path, lambda _: True)
        except OSError as error:
            # Not chained: a client's traceback may show its request.
            raise UnavailableError(
                ErrorCode.STORAGE_UNAVAILABLE, f"{ref.uri}: {error}; try again later."
            ) from None

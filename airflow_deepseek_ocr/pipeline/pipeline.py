"""The processing of a batch: claim, fetch, render, recognise, store.

Documents are fetched and opened one at a time. Pages of several documents share the engine's batches, so
that small documents fill the GPU too. Each page is stored when it is finished.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.counted import counted
from airflow_deepseek_ocr.exceptions import (
    DatabaseError,
    DeepSeekOCRError,
    ErrorCode,
    OverwrittenError,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import MAX_NAMES
from airflow_deepseek_ocr.ocr.engine_protocol import Engine, Progress
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig
from airflow_deepseek_ocr.ocr.recognition.page_result import failed_page
from airflow_deepseek_ocr.ocr.recognition.reader import Reader
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    parse_retry_with,
    parse_text_layer_use,
)
from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer
from airflow_deepseek_ocr.ocr.results import DocumentResult, PageResult
from airflow_deepseek_ocr.pipeline.document_queue import DocumentQueue
from airflow_deepseek_ocr.pipeline.document_report import DocumentReport, level
from airflow_deepseek_ocr.pipeline.in_flight import FetchedDocument, InFlightDocument
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.progress import progress_line
from airflow_deepseek_ocr.pipeline.summary import Summary
from airflow_deepseek_ocr.pipeline.working_directory import document_path
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.store.leases import AlreadyFinal, Lease, LeaseLostError
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.row_values import TaskInfo

log = logging.getLogger(__name__)

#: Seconds before the first poll of documents that other tasks have leased, and between two polls at most. A
#: poll asks storage and database about each document. Short leases are polled four times.
_FIRST_POLL_S, _LONGEST_POLL_S = 0.25, 5.0
#: Factor by which the time between polls grows while nothing changes.
_BACKOFF = 1.5

_ReportProgress = Callable[[Progress], None] | None


class Pipeline:
    """Processes documents into the results database.

    :param sources: fetches documents.
    :param get_engine: creates or finds the engine; called when the first page is ready.
    :param store: the results database, with its tables in place.
    :param config: the processing configuration.
    :param task: the task instance, for the rows; None outside Airflow.
    :param options: limits, leases and waiting.
    :raises ConfigurationError: ``unknown_prompt``, ``prompt_text``, ``unknown_resolution``,
        ``page_selection``, ``retry_with``, ``text_layer``: the configuration names something that does not
        exist.
    """

    def __init__(
        self,
        *,
        sources: Sources,
        get_engine: Callable[[], Engine],
        store: Store,
        config: ProcessingConfig,
        task: TaskInfo | None = None,
        options: PipelineOptions | None = None,
    ) -> None:
        self._sources, self._config = sources, config
        self._options = options or PipelineOptions()
        self._selection = PageSelection.parse(config.pages)
        # The reader loads the model for its first page, not for documents that are stored already.
        self._reader = Reader(
            get_engine,
            config.prompt,
            config.resolution,
            steps=parse_retry_with(config.retry_with),
            text_layer_use=parse_text_layer_use(config.text_layer),
            min_score=config.min_score,
        )
        self._ledger = Ledger(store.database, config, task or TaskInfo(), self._options.lease)
        self._summary = Summary(config.key)
        self._queue = self._new_queue(())
        # Protects the queue and the summary: an engine renders pages in its own thread, where documents may
        # fail as well.
        self._lock = threading.RLock()

    def run(self, refs: Iterable[DocumentRef], progress: _ReportProgress = None) -> Summary:
        """Process the documents; each ends in a row, unless another task has its lease.

        :param progress: called every few seconds.
        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        :raises UnavailableError: the model is out of reach; ``local_disk`` if no temporary directory can be
            created.
        :raises ConfigurationError: the model's settings are wrong; ``sandbox_unavailable``. As for
            :class:`UnavailableError`, the remaining documents whose version is known get a row with the
            error.
        """
        self._summary, self._queue = Summary(self._config.key), self._new_queue(refs)
        with document_path() as target, self._ledger.renewing():
            self._process(target, progress)
            self._wait_for_others(target, progress)
        self._summary.leased_by_others.update(self._queue.leased_by_others)
        if count := self._queue.leased_by_others_count:
            self._summary.documents["leased_by_others"] += count
        if count := self._queue.forgotten_count:
            self._summary.documents["forgotten"] += count
        return self._summary

    def release(self) -> None:
        """Release the leases, for a process that is about to be killed."""
        self._ledger.release()

    def progress_line(self, engine: Progress) -> str:
        """Return how far the batch is, for the log.

        :param engine: pages that the engine processes now.
        """
        with self._lock:
            documents_open = [document.ref.uri for document in self._queue.open_documents]
            return progress_line(self._summary, documents_open, self._queue.size, engine)

    def _new_queue(self, refs: Iterable[DocumentRef]) -> DocumentQueue:
        return DocumentQueue(refs, self._ledger, overwrite=self._options.overwrite)

    def _process(self, target: Path, progress: _ReportProgress) -> None:
        """Process all documents in the queue."""
        renderer = Renderer(self._options.limits, self._options.sandbox)
        pages = self._pages(target, renderer)
        try:
            renderer.require_sandbox()
            with closing(self._reader.read(pages, progress)) as results:
                for document, page in results:
                    self._store_page(document, page)
            for document in self._queue.open_documents:
                # Its lease was lost while its pages were rendered, so some never reached the engine.
                self._queue.lose(document.ref, document.lease)
        except DatabaseError:
            raise
        except DeepSeekOCRError as error:
            self._fail_rest(error)
            raise
        finally:
            try:
                pages.close()
            finally:
                renderer.close()

    def _wait_for_others(self, target: Path, progress: _ReportProgress) -> None:
        """Poll documents that other tasks have leased, and process those that become free."""
        wait, queue = self._options.wait_for_others, self._queue
        if wait is None:
            return
        deadline = time.monotonic() + wait.total_seconds()
        longest = min(_LONGEST_POLL_S, self._options.lease.total_seconds() / 4)
        pause, before = min(_FIRST_POLL_S, longest), 0
        while queue.leased_by_others_count and (left := deadline - time.monotonic()) > 0:
            if queue.leased_by_others_count != before:
                log.info(
                    "Waiting up to %.0f s for %s that other tasks are processing.",
                    left,
                    counted(queue.leased_by_others_count, "document"),
                )
            time.sleep(min(pause, left))
            before = queue.leased_by_others_count
            started = time.monotonic()
            queue.retry_leased_by_others()
            self._process(target, progress)
            if queue.leased_by_others_count < before:
                pause = min(_FIRST_POLL_S, longest)
            else:
                # Polling many documents takes time: it must not take more than half of it.
                pause = min(max(_BACKOFF * pause, time.monotonic() - started), longest)

    def _pages(
        self, target: Path, renderer: Renderer
    ) -> Generator[tuple[InFlightDocument, Page], None, None]:
        """Yield pages of one document after the other; store documents that fail."""
        while (ref := self._queue.pop()) is not None:
            fetched = FetchedDocument(ref)
            try:
                lease = self._fetch(fetched, target)
                if lease is not None:
                    with renderer.open(
                        target, selection=self._selection, dpi=self._config.dpi
                    ) as opened:
                        yield from self._pages_of(fetched.ref, lease, opened)
            except DatabaseError:
                raise
            except DeepSeekOCRError as error:
                self._fail(fetched.ref, fetched.lease, error)
                if isinstance(error, OverwrittenError):
                    self._queue.push(fetched.ref.unversioned())
            finally:
                target.unlink(missing_ok=True)

    def _pages_of(
        self, ref: DocumentRef, lease: Lease, opened: Document
    ) -> Iterator[tuple[InFlightDocument, Page]]:
        """Yield the pages that no earlier try has stored."""
        numbers = tuple(opened.page_numbers)
        missing = [number for number in numbers if number not in lease.final_pages]
        document = InFlightDocument(
            ref=ref,
            lease=lease,
            media_type=opened.media_type,
            page_count=opened.page_count,
            page_numbers=numbers,
            missing=set(missing),
            report=DocumentReport(dynamic_form=opened.dynamic_form, attachments=opened.attachments),
        )
        with self._lock:
            self._summary.pages_resumed += len(numbers) - len(missing)
            self._queue.open(document)
            self._complete_if_stored(document)
        for number in missing:
            if document.lost or not self._ledger.holds(lease):
                return
            try:
                page = opened.page(number)
            except DeepSeekOCRError as error:
                self._store_page(document, failed_page(number, self._config.resolution, error))
            else:
                document.report.attachments = opened.attachments
                yield document, page

    def _fetch(self, fetched: FetchedDocument, target: Path) -> Lease | None:
        """Claim the document and copy it to ``target``; None if it is not processed now."""

        def wanted(found: DocumentRef) -> bool:
            fetched.ref = found
            fetched.lease = self._claim(found)
            return fetched.lease is not None

        try:
            if self._sources.fetch(fetched.ref, target, wanted) is None:
                return None
        except OSError as error:
            # ``from None``: a client's traceback may show its request.
            raise UnavailableError(
                ErrorCode.STORAGE_UNAVAILABLE, f"{fetched.ref.uri}: {error}; try again later."
            ) from None
        return fetched.lease

    def _claim(self, ref: DocumentRef) -> Lease | None:
        with self._lock:
            claimed = self._queue.claim(ref)
            if not isinstance(claimed, AlreadyFinal):
                return claimed
            self._summary.documents["skipped"] += 1
            if claimed.by_us is not None:
                self._summary.record_failures(ref, claimed.by_us, self._options.budget)
            return None

    def _store_page(self, document: InFlightDocument, page: PageResult) -> None:
        """Store a page; its document ends with its last one."""
        with self._lock:
            if document.lost:
                return
            try:
                page = self._ledger.write_page(document.lease, page)
            except LeaseLostError:
                self._queue.lose(document.ref, document.lease)
                return
            document.missing.discard(page.number)
            self._summary.record_page(page)
            document.report.add(page)
            self._complete_if_stored(document)

    def _complete_if_stored(self, document: InFlightDocument) -> None:
        if document.missing:
            return
        try:
            result = self._ledger.complete(
                document.lease,
                media_type=document.media_type,
                page_count=document.page_count,
                pages=len(document.page_numbers),
                note=self._note(document.report),
            )
        except LeaseLostError:
            self._queue.lose(document.ref, document.lease)
            return
        self._queue.close(document.lease)
        self._record(document.ref, result, document.report)

    @staticmethod
    def _note(report: DocumentReport) -> str | None:
        return " ".join(report.unshown(MAX_NAMES)) if report.misses_content else None

    def _fail(
        self, ref: DocumentRef, lease: Lease | None, error: DeepSeekOCRError, **changes: Any
    ) -> None:
        """Store why a document failed."""
        with self._lock:
            result = failure(error, **changes)
            try:
                if lease is None:
                    self._ledger.fail_unclaimed(ref, result)
                else:
                    self._ledger.fail(lease, result)
            except LeaseLostError:
                self._queue.lose(ref, lease)
            else:
                self._queue.close(lease)
                self._record(ref, result)

    def _record(
        self, ref: DocumentRef, result: DocumentResult, report: DocumentReport | None = None
    ) -> None:
        self._summary.documents[result.status.value] += 1
        self._summary.record_failures(ref, result, self._options.budget)
        report = report or DocumentReport()
        self._summary.record_unshown(ref, report)
        log.log(level(result, report), "%s", report.line(ref, result))

    def _fail_rest(self, error: DeepSeekOCRError) -> None:
        """Store an infrastructure error for the documents that it keeps from being processed."""
        for document in self._queue.open_documents:
            self._fail(document.ref, document.lease, error, retryable=True)
        while (ref := self._queue.pop()) is not None:
            if ref.version and (lease := self._claim(ref)) is not None:
                self._fail(ref, lease, error, retryable=True)

"""A batch: what happens to its documents, in the ledger, the summary and the log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.counted import counted
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode, OverwrittenError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import MAX_NAMES
from airflow_deepseek_ocr.ocr.engine_protocol import Progress
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig, document_key
from airflow_deepseek_ocr.ocr.recognition.page_result import failed_page
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool, SharedDocument
from airflow_deepseek_ocr.ocr.results import DocumentResult, DocumentStatus, PageResult, PageStatus
from airflow_deepseek_ocr.pipeline.attached_documents import AttachedDocuments
from airflow_deepseek_ocr.pipeline.document_copies import DocumentCopies
from airflow_deepseek_ocr.pipeline.document_queue import DocumentQueue
from airflow_deepseek_ocr.pipeline.exports.export_queue import ExportQueue
from airflow_deepseek_ocr.pipeline.exports.exporter import Exported
from airflow_deepseek_ocr.pipeline.in_flight import FetchedDocument, InFlightDocument
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.page_stream import OpenedDocument
from airflow_deepseek_ocr.pipeline.page_writer import Finished, PageWriter
from airflow_deepseek_ocr.pipeline.reports.batch_table import batch_table
from airflow_deepseek_ocr.pipeline.reports.capped_lines import CappedLines
from airflow_deepseek_ocr.pipeline.reports.document_report import DocumentReport, level
from airflow_deepseek_ocr.pipeline.reports.pace import Pace
from airflow_deepseek_ocr.pipeline.reports.progress import progress_line
from airflow_deepseek_ocr.pipeline.reports.reasons import Reasons
from airflow_deepseek_ocr.pipeline.summary import Summary
from airflow_deepseek_ocr.store.leases import AlreadyFinal, Lease, LeaseLostError
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.pages.page_batches import Completion, DocumentPages, StoredPages

log = logging.getLogger(__name__)


class Batch:
    """Notes what happens to the documents of a batch; several threads may use it.

    :param refs: the batch.
    :param ledger: has the rows.
    :param config: the processing configuration.
    :param options: how documents are processed.
    :ivar summary: counts so far.
    :ivar queue: the documents and their leases.
    :ivar writer: stores pages; replaced by each round over the queue.
    """

    writer: PageWriter

    def __init__(
        self,
        refs: Iterable[DocumentRef],
        ledger: Ledger,
        config: ProcessingConfig,
        options: PipelineOptions,
    ) -> None:
        self._ledger, self._resolution, self._options = ledger, config.resolution, options
        self._config = config
        self._exports: ExportQueue | None = None
        self.summary = Summary(config.key)
        self._lines, self._reasons, self._pace = CappedLines(log), Reasons(), Pace()
        self.queue = DocumentQueue(refs, ledger, self._lines, overwrite=options.overwrite)
        self._attached = AttachedDocuments(self.queue, ledger, overwrite=options.overwrite)
        self._lock = threading.RLock()
        self._stopped = False

    def begin(
        self,
        copies: DocumentCopies,
        pool: RenderPool,
        room_changed: Callable[[], None],
        exports: ExportQueue | None = None,
    ) -> None:
        """Note who has the copies of documents, for those whose pages are stored.

        :param copies: the copies.
        :param pool: the processes that may have them open.
        :param room_changed: called when a copy is removed.
        :param exports: exports documents that have ended; None for no exports.
        """

        self._copies, self._pool, self._room_changed = copies, pool, room_changed
        self._exports = exports

    def stop(self) -> None:
        """Claim nothing any more."""
        self._stopped = True

    def close(self) -> None:
        """Add the documents that are left to other tasks to the summary."""
        self.summary.leased_by_others.update(self.queue.leased_by_others)
        if count := self.queue.leased_by_others_count:
            self.summary.documents["leased_by_others"] += count
        if count := self.queue.forgotten_count:
            self.summary.documents["forgotten"] += count

    def progress_line(self, engine: Progress) -> str:
        """Return how far the batch is, for the log.

        :param engine: pages that the engine processes now.
        """
        with self._lock:
            documents = self.queue.open_documents
            ended = self.summary.documents.total() + sum(each.stored_share for each in documents)
            pace = self._pace.describe(self.summary.pages, ended / max(1, self.queue.size))
            uris = [document.ref.uri for document in documents]
            return progress_line(self.summary, uris, self.queue.size, engine, pace)

    def table(self, seconds: float, places: Iterable[tuple[str, str]]) -> str:
        """Return the table at the end of the log; see :func:`batch_table`."""
        with self._lock:
            return batch_table(self.summary, self._reasons, seconds, places)

    def claim(self, ref: DocumentRef, *, together: bool = False) -> Lease | None:
        """Claim a document version; None if it is not processed now.

        :param together: see :meth:`Ledger.claim`.
        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """
        if self._stopped:
            return None
        claimed = self.queue.claim(ref, together=together)
        if not isinstance(claimed, AlreadyFinal):
            return claimed
        with self._lock:
            self.summary.documents["skipped"] += 1
            # A document that is twice in the batch has none the second time.
            self.summary.document_ids += filter(None, [claimed.document_id])
            if claimed.by_us is not None:
                self.summary.record_failures(ref, claimed.by_us, self._options.budget)
            row = f", row {claimed.document_id}" if claimed.document_id else ""
            self._lines.write("documents stored before", f"{ref.uri}: stored before{row}.")
        if self._options.read_attachments:
            self._attached.add_unfinished(ref)
        if self._exports is not None:
            # An earlier try may have died before it had exported the document.
            self._exports.add(ref, self._document_key(ref))
        return None

    def opened(
        self, fetched: FetchedDocument, source: SharedDocument, opened: OpenedDocument
    ) -> InFlightDocument:
        """See :meth:`DocumentEvents.opened`; a document whose pages are all stored ends here."""
        if fetched.lease is None:
            raise ValueError(f"{fetched.ref.uri} was opened without a lease")
        document = InFlightDocument(
            ref=fetched.ref,
            lease=fetched.lease,
            media_type=opened.media_type,
            page_count=opened.page_count,
            page_numbers=opened.page_numbers,
            missing=set(opened.missing),
            source=source,
            report=DocumentReport(dynamic_form=opened.dynamic_form, attachments=opened.attachments),
        )
        with self._lock:
            self.summary.pages_resumed += len(opened.page_numbers) - len(opened.missing)
        self.queue.open(document)
        # Before the document can end.
        self._attached.add(fetched.ref, opened.attached)
        if not document.missing:
            self._store({document: []})
        return document

    def failed(self, fetched: FetchedDocument, error: DeepSeekOCRError) -> None:
        """Store why a document failed before its pages were processed.

        An overwritten document is queued again, as its newest version.
        """
        self._fail(fetched.ref, fetched.lease, error)
        self._remove(fetched.path)
        if isinstance(error, OverwrittenError):
            self.queue.push(fetched.ref.unversioned())

    def page_failed(self, document: InFlightDocument, number: int, error: DeepSeekOCRError) -> None:
        """Store why a page cannot be rendered."""
        self.writer.put(document, failed_page(number, self._resolution, error))

    def rendered(self, document: InFlightDocument, page: Page) -> None:
        """Note the files attached to a page; the first page read has those of the document too.

        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """
        self._attached.add(document.ref, page.attached, page.number)
        report = document.report
        is_first = page.number == document.page_numbers[0]
        report.attachments = page.attachments if is_first else report.attachments + page.attachments

    def is_wanted(self, document: InFlightDocument) -> bool:
        """Return whether this task still has the document's lease."""
        return not document.lost and self._ledger.holds(document.lease)

    def store(self, pages: Sequence[Finished]) -> None:
        """Store pages; each document ends with its last one.

        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """
        by_document: dict[InFlightDocument, list[PageResult]] = {}
        for document, page in pages:
            if not document.lost:
                by_document.setdefault(document, []).append(page)
        if by_document:
            self._store(by_document)

    def lose_open(self) -> None:
        """Leave the documents that are still open to other tasks.

        Their leases were lost while their pages were rendered, so some pages never reached the engine.
        """
        for document in self.queue.open_documents:
            self._lose(document)

    def fail_rest(self, error: DeepSeekOCRError, fetched: Sequence[FetchedDocument]) -> None:
        """Store an infrastructure error for the documents that it keeps from being processed.

        :param error: the error.
        :param fetched: documents that were fetched, and not opened.
        """
        for document in self.queue.open_documents:
            self._fail(document.ref, document.lease, error, retryable=True)
        for each in fetched:
            self._fail(each.ref, each.lease, error, retryable=True)
        while (ref := self.queue.pop()) is not None:
            if ref.version and (lease := self.claim(ref)) is not None:
                self._fail(ref, lease, error, retryable=True)

    def _store(self, by_document: dict[InFlightDocument, list[PageResult]]) -> None:
        documents = list(by_document)
        stored = self._ledger.write_documents(
            [_to_store(document, by_document[document]) for document in documents]
        )
        for document, outcome in zip(documents, stored, strict=True):
            if outcome.is_lost:
                self._lose(document)
            else:
                self._note(document, outcome)

    def _note(self, document: InFlightDocument, outcome: StoredPages) -> None:
        with self._lock:
            for page in outcome.pages:
                document.missing.discard(page.number)
                self.summary.record_page(page)
                document.report.add(page)
                self._note_failed_page(document, page)
            if outcome.result is None:
                return
            self.queue.close(document.lease)
            self.summary.document_ids.append(document.lease.document_id)
            self._record(document.ref, outcome.result, document.lease, document.report)
        if self._exports is None:
            self._release(document)
        else:
            key, path = self._document_key(document.ref), document.source.path
            self._exports.add(document.ref, key, path, partial(self._release, document))

    def exported(self, ref: DocumentRef, exported: Exported) -> None:
        """See :meth:`ExportEvents.exported`."""
        with self._lock:
            self.summary.record_exports(exported)
        if exported.written:
            # The manifest is beside them.
            where = exported.files[-1].uri.rpartition("/")[0]
            files = f"{counted(exported.written, 'file')}, {exported.written_bytes:,} bytes"
            line = f"{ref.uri}: exports: {files} written to {where}/."
            self._lines.write("exports", line)
        for each in exported.refused:
            line = f"{ref.uri}: no export {each.format} ({each.code}): {each.error}"
            self._lines.write(f"exports {each.format} ({each.code})", line, logging.WARNING)

    def export_failed(self, ref: DocumentRef, error: DeepSeekOCRError) -> None:
        """See :meth:`ExportEvents.export_failed`."""
        with self._lock:
            self.summary.failed_exports[ref.uri] = f"{error.code.value}: {error}"
        line = f"{ref.uri}: the exports are missing ({error.code}): {error}"
        self._lines.write(f"missing exports ({error.code})", line, logging.ERROR)

    def _document_key(self, ref: DocumentRef) -> str:
        return document_key(ref, self._config)

    def _lose(self, document: InFlightDocument) -> None:
        self.queue.lose(document.ref, document.lease)
        document.lost = True
        self._release(document)

    def _release(self, document: InFlightDocument) -> None:
        """Give up the copy of a document of which no page is rendered any more."""
        self._pool.finish(document.source)
        self._remove(document.source.path)

    def _remove(self, path: Path) -> None:
        self._copies.remove(path)
        self._room_changed()

    def _fail(
        self, ref: DocumentRef, lease: Lease | None, error: DeepSeekOCRError, **changes: Any
    ) -> None:
        """Store why a document failed."""
        result = failure(error, **changes)
        try:
            if lease is None:
                self._ledger.fail_unclaimed(ref, result)
            else:
                self._ledger.fail(lease, result)
        except LeaseLostError:
            self.queue.lose(ref, lease)
            return
        self.queue.close(lease)
        with self._lock:
            if lease is not None:
                self.summary.document_ids.append(lease.document_id)
            self._record(ref, result, lease)

    def _note_failed_page(self, document: InFlightDocument, page: PageResult) -> None:
        if page.status is PageStatus.FAILED:
            example = f"page {page.number} of {document.ref.uri}"
            self._reasons.add(page.error_code or "unknown", example, page.error or "")

    def _record(
        self,
        ref: DocumentRef,
        result: DocumentResult,
        lease: Lease | None,
        report: DocumentReport | None = None,
    ) -> None:
        self.summary.documents[result.status.value] += 1
        self.summary.record_failures(ref, result, self._options.budget)
        report = report or DocumentReport()
        self.summary.record_unshown(ref, report)
        kind = f"{result.status.value} documents"
        if result.status is DocumentStatus.FAILED:
            code = result.error_code or ErrorCode.PAGES_FAILED.value
            kind += f" ({code})"
            self._reasons.add(code, ref.uri, result.error or "")
        row = "" if lease is None else f" Row {lease.document_id}."
        ended = f"{self.summary.documents.total():,} of {self.queue.size:,}"
        line = f"{ended}: {report.line(ref, result)}{row}"
        self._lines.write(kind, line, level(result, report))


def _to_store(document: InFlightDocument, pages: Sequence[PageResult]) -> DocumentPages:
    """Return pages of a document, with its end if no other page is missing."""
    completion, report = None, document.report
    if document.missing <= {page.number for page in pages}:
        completion = Completion(
            media_type=document.media_type,
            page_count=document.page_count,
            pages=len(document.page_numbers),
            note=" ".join(report.unshown(MAX_NAMES)) if report.misses_content else None,
        )
    return DocumentPages(document.lease, tuple(pages), completion)

"""The processing of a batch: claim, fetch, render, recognise, store.

Documents are fetched ahead, rendered in several processes, and stored in batches, so that none of these waits
for another. Pages of several documents share the engine's batches, so that small documents fill the GPU too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from pathlib import Path

from airflow_deepseek_ocr.counted import counted
from airflow_deepseek_ocr.exceptions import (
    DatabaseError,
    DeepSeekOCRError,
    ErrorCode,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.engine_protocol import Engine, Progress
from airflow_deepseek_ocr.ocr.fingerprint import FIGURES_DESCRIBED, ProcessingConfig
from airflow_deepseek_ocr.ocr.recognition.reader import Reader
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    parse_retry_with,
    parse_text_layer_use,
)
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool
from airflow_deepseek_ocr.pipeline.batch import Batch
from airflow_deepseek_ocr.pipeline.document_copies import DocumentCopies
from airflow_deepseek_ocr.pipeline.documents_ahead import DocumentsAhead
from airflow_deepseek_ocr.pipeline.exports.export_queue import ExportPlan, ExportQueue
from airflow_deepseek_ocr.pipeline.in_flight import FetchedDocument
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.page_stream import PageStream
from airflow_deepseek_ocr.pipeline.page_writer import PageWriter
from airflow_deepseek_ocr.pipeline.summary import Summary
from airflow_deepseek_ocr.pipeline.working_directory import working_directory
from airflow_deepseek_ocr.sources.attachments import AttachmentSource
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.store.ledger import Ledger
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
    :param exports: files that are made of each document; None for none.
    :ivar database: what ``store`` writes to.
    :ivar config: the processing configuration.
    :ivar exports: files that are made of each document; None for none.
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
        exports: ExportPlan | None = None,
    ) -> None:
        self.database, self.exports = store.database, exports
        self._options, self.config = options or PipelineOptions(), config
        self._source = AttachmentSource(sources, self._options.limits, self._options.sandbox)
        selection = PageSelection.parse(config.pages)
        # The reader loads the model for its first page, not for documents that are stored already.
        self._reader = Reader(
            get_engine,
            config.prompt,
            config.resolution,
            steps=parse_retry_with(config.retry_with),
            text_layer_use=parse_text_layer_use(config.text_layer),
            min_score=config.min_score,
            describes_figures=config.figures == FIGURES_DESCRIBED,
        )
        self._request = OpenRequest(
            selection,
            config.dpi,
            text_layer=self._reader.uses_text_layer,
            edge_density=self._reader.measures_edges,
            line_direction=self._reader.may_turn,
            attachments=self._options.read_attachments,
        )
        self._ledger = Ledger(store.database, config, task or TaskInfo(), self._options.lease)
        self._batch = self._new_batch(())

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
        batch = self._batch = self._new_batch(refs)
        with working_directory() as directory, self._ledger.renewing(), closing(self._source):
            self._process(directory, progress)
            self._wait_for_others(directory, progress)
        batch.close()
        return batch.summary

    @property
    def summary(self) -> Summary:
        """Counts of the batch so far, also after :meth:`run` raised an error."""
        return self._batch.summary

    def release(self) -> None:
        """Release the leases, for a process that is about to be killed; nothing is claimed any more."""
        self._batch.stop()
        self._ledger.release()

    def progress_line(self, engine: Progress) -> str:
        """Return how far the batch is, for the log.

        :param engine: pages that the engine processes now.
        """
        return self._batch.progress_line(engine)

    def table(self, seconds: float, places: Iterable[tuple[str, str]] = ()) -> str:
        """Return the table at the end of the log, also after :meth:`run` raised an error.

        :param seconds: since the start of the task.
        :param places: where results are: names and addresses.
        """
        return self._batch.table(seconds, places)

    def _new_batch(self, refs: Iterable[DocumentRef]) -> Batch:
        return Batch(refs, self._ledger, self.config, self._options)

    def _process(self, directory: Path, progress: _ReportProgress) -> None:
        """Process all documents in the queue."""
        batch, options = self._batch, self._options
        with ExitStack() as stack:
            pool = RenderPool(options.limits, options.sandbox, options.render_processes)
            # Last, when no thread uses the processes any more.
            stack.callback(pool.close)
            copies = DocumentCopies(directory)
            stream = PageStream(self._request, pool, batch)
            documents = DocumentsAhead(batch.queue, self._fetch, copies, stream.wake)
            queue = self._export_queue(directory, pool, stack)
            batch.begin(copies, pool, documents.room_changed, queue)
            try:
                pool.require_sandbox()
                with PageWriter(batch.store) as batch.writer:
                    pages = stack.enter_context(closing(stream.pages(documents)))
                    with closing(self._reader.read(pages, progress)) as results:
                        for document, page in results:
                            batch.writer.put(document, page)
                batch.lose_open()
                if queue is not None:
                    queue.finish()
            except DatabaseError:
                raise
            except DeepSeekOCRError as error:
                batch.fail_rest(error, [*documents.close(), *stream.unopened])
                raise
            finally:
                documents.close()

    def _export_queue(
        self, directory: Path, pool: RenderPool, stack: ExitStack
    ) -> ExportQueue | None:
        """Return the queue of exports, which ends before the rendering processes do."""
        if self.exports is None:
            return None
        queue = ExportQueue(
            self.exports,
            self.database,
            pool,
            self._source,
            directory,
            self._batch,
            limits=self._options.limits,
            sandbox=self._options.sandbox,
        )
        return stack.enter_context(queue)

    def _wait_for_others(self, directory: Path, progress: _ReportProgress) -> None:
        """Poll documents that other tasks have leased, and process those that become free."""
        wait, queue = self._options.wait_for_others, self._batch.queue
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
            self._batch.summary.waited_seconds += min(pause, left)
            before = queue.leased_by_others_count
            started = time.monotonic()
            queue.retry_leased_by_others()
            self._process(directory, progress)
            if queue.leased_by_others_count < before:
                pause = min(_FIRST_POLL_S, longest)
            else:
                # Polling many documents takes time: it must not take more than half of it.
                pause = min(max(_BACKOFF * pause, time.monotonic() - started), longest)

    def _fetch(self, document: FetchedDocument) -> bool:
        """Claim a document and copy it; return whether its pages are to be processed now."""

        def wanted(found: DocumentRef) -> bool:
            document.ref = found
            document.lease = self._batch.claim(found, together=True)
            return document.lease is not None

        try:
            fetched = self._source.fetch(document.ref, document.path, wanted)
        except OSError as error:
            # Not chained: a client's traceback may show its request.
            failure = UnavailableError(
                ErrorCode.STORAGE_UNAVAILABLE, f"{document.ref.uri}: {error}; try again later."
            )
            self._batch.failed(document, failure)
        except DatabaseError:
            raise
        except DeepSeekOCRError as error:
            self._batch.failed(document, error)
        else:
            return fetched is not None
        return False

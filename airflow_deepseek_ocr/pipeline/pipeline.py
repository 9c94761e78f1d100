"""The way of a document: claim, fetch, pages, engine, rows. One direction, one document's file at a time.

Pages of several documents share batches, so that small documents fill the GPU too; each page is stored
when it is read.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.exceptions import (
    DeepSeekOCRError,
    ErrorCode,
    UnavailableError,
    local_disk,
)
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.engine_protocol import Engine, Progress
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig
from airflow_deepseek_ocr.ocr.recognition.reader import Reader, failed_page
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    parse_retry_with,
    parse_text_layer_use,
)
from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer
from airflow_deepseek_ocr.ocr.results import DocumentResult, PageResult
from airflow_deepseek_ocr.pipeline.error_budget import ErrorBudget
from airflow_deepseek_ocr.pipeline.in_flight import Reading
from airflow_deepseek_ocr.pipeline.summary import Summary
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.store.leases import Held, Lease, LeaseLostError
from airflow_deepseek_ocr.store.ledger import DEFAULT_LEASE, Ledger, failure
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.row_values import TaskInfo
from airflow_deepseek_ocr.temporary_directory import temporary_directory

log = logging.getLogger(__name__)


#: How long to wait for documents that other tasks are reading.
DEFAULT_WAIT = timedelta(minutes=10)


#: Seconds until the first look at them, and between two at most: a look asks storage and database about
#: each. A short lease is looked at more often.
_FIRST_LOOK_S, _LOOK_S = 0.25, 5.0


#: By how much looks become rarer while nothing happens.
_RARER = 1.5


class Pipeline:
    """Reads documents into the database.

    :param sources: fetches documents.
    :param get_engine: makes or finds the engine; called when the first page is ready.
    :param store: the results database, with its tables in place.
    :param recipe: how to read.
    :param limits: what a document may cost.
    :param task: the task instance, for the rows.
    :param overwrite: read documents again that are stored already.
    :param budget: how many pages of a document may fail.
    :param lease: how long a task that died keeps others from its documents.
    :param wait_for_others: how long to wait, at the end, for documents that other tasks are reading,
        and read them should those die; None leaves them to the others.
    :raises ConfigurationError: if the recipe names a prompt, resolution, pages or steps that do not
        exist.
    """

    def __init__(
        self,
        *,
        sources: Sources,
        get_engine: Callable[[], Engine],
        store: Store,
        config: ProcessingConfig,
        limits: Limits | None = None,
        task: TaskInfo | None = None,
        overwrite: bool = False,
        budget: ErrorBudget | None = None,
        lease: timedelta = DEFAULT_LEASE,
        wait_for_others: timedelta | None = DEFAULT_WAIT,
    ) -> None:
        self._sources, self._recipe, self._overwrite = sources, config, overwrite
        self._limits, self._budget = limits or Limits(), budget or ErrorBudget()
        self._lease, self._wait = lease, wait_for_others
        self._selection = PageSelection.parse(config.pages)
        # The model is loaded for a page to read, not for documents that are stored already.
        self._reader = Reader(
            get_engine,
            config.prompt,
            config.resolution,
            steps=parse_retry_with(config.retry_with),
            text_layer_use=parse_text_layer_use(config.text_layer),
            min_score=config.min_score,
        )
        self._ledger = Ledger(store.database, config, task or TaskInfo(), lease)
        self._summary = Summary()
        self._open: list[Reading] = []
        self._taken: set[str] = set()
        self._held: dict[str, tuple[DocumentRef, str]] = {}
        self._told: dict[str, str] = {}
        # An engine draws pages in a thread of its own, where documents may fail as well.
        self._lock = threading.RLock()

    def run(
        self, refs: Iterable[DocumentRef], progress: Callable[[Progress], None] | None = None
    ) -> Summary:
        """Read the documents; each ends in a row, read or not, unless another task is reading it.

        :param progress: called every few seconds.
        :raises UnavailableError: the database or the model is out of reach; ``local_disk`` if there
            can be no temporary directory.
        :raises ConfigurationError: the model's settings are wrong. In both cases the documents not
            read have a row that says so, as far as their version is known and the database answers.
        """
        self._summary, self._open, self._taken = Summary(), [], set()
        self._held, self._told = {}, {}
        with _temporary_directory() as directory, self._ledger.kept():
            target = Path(directory) / "document"
            self._read(deque(dict.fromkeys(refs)), target, progress)
            self._read_what_others_leave(target, progress)
        for ref, owner in self._held.values():
            self._summary.documents["held"] += 1
            self._summary.held[ref.uri] = owner
        return self._summary

    def release(self) -> None:
        """Give back what is being read, for a process that is about to be killed."""
        self._ledger.release()

    def _read(
        self,
        waiting: deque[DocumentRef],
        target: Path,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        renderer = Renderer(self._limits)
        pages = self._pages(waiting, target, renderer)
        try:
            with closing(self._reader.read(pages, progress)) as results:
                for reading, page in results:
                    self._add(reading, page)
            for reading in list(self._open):
                self._lose(reading)  # its other pages were not drawn any more
        except DeepSeekOCRError as error:
            self._fail_rest(waiting, error)
            raise
        finally:
            try:
                pages.close()
            finally:
                renderer.close()

    def _read_what_others_leave(
        self, target: Path, progress: Callable[[Progress], None] | None
    ) -> None:
        if self._wait is None:
            return
        deadline = time.monotonic() + self._wait.total_seconds()
        longest = min(_LOOK_S, self._lease.total_seconds() / 4)
        pause, before = min(_FIRST_LOOK_S, longest), 0
        while self._held and (left := deadline - time.monotonic()) > 0:
            if len(self._held) != before:
                log.info("Waiting for %d documents that other tasks are reading.", len(self._held))
            time.sleep(min(pause, left))
            held, before = deque(ref for ref, _ in self._held.values()), len(self._held)
            self._held.clear()
            started = time.monotonic()
            self._read(held, target, progress)
            if len(self._held) < before:
                pause = min(_FIRST_LOOK_S, longest)
            else:
                # Looking at many takes a while: no more than half of the time is spent with it.
                pause = min(max(_RARER * pause, time.monotonic() - started), longest)

    def _pages(
        self, waiting: deque[DocumentRef], target: Path, renderer: Renderer
    ) -> Generator[tuple[Reading, Page], None, None]:
        """Pages of one document after the other; what cannot be read is written as failed."""
        while waiting:
            reading = Reading(waiting.popleft())
            try:
                if self._fetch(reading, target):
                    with renderer.open(
                        target, selection=self._selection, dpi=self._recipe.dpi
                    ) as document:
                        yield from self._pages_of(reading, document)
            except DeepSeekOCRError as error:
                if error.code.startswith("database"):
                    raise
                self._fail(reading, error)
                if error.code == "overwritten":
                    waiting.append(reading.ref.unversioned())
            finally:
                target.unlink(missing_ok=True)

    def _pages_of(self, reading: Reading, document: Document) -> Iterator[tuple[Reading, Page]]:
        """Those pages that no earlier try has read."""
        numbers = document.page_numbers
        missing = [n for n in numbers if n not in reading.held_lease.final_pages]
        reading.media_type, reading.page_count = document.media_type, document.page_count
        reading.pages, reading.awaited = len(numbers), set(missing)
        with self._lock:
            self._summary.pages_kept += len(numbers) - len(missing)
            self._open.append(reading)
            self._complete_if_read(reading)
        for number in missing:
            if reading.lost or not self._ledger.holds(reading.held_lease):
                return
            try:
                page = document.page(number)
            except DeepSeekOCRError as error:
                self._add(reading, failed_page(number, self._recipe.resolution, error))
            else:
                yield reading, page

    def _fetch(self, reading: Reading, target: Path) -> bool:
        """Claim the document and copy it to ``target``; False if it is not to be read now."""

        def wanted(found: DocumentRef) -> bool:
            reading.ref = found
            reading.lease = self._claim(found)
            return reading.lease is not None

        try:
            return self._sources.fetch(reading.ref, target, wanted) is not None
        except OSError as error:
            # A client's traceback may hold its request.
            raise UnavailableError(
                ErrorCode.STORAGE_UNAVAILABLE, f"{reading.ref.uri}: {error}; try again later."
            ) from None

    def _claim(self, ref: DocumentRef) -> Lease | None:
        with self._lock:
            # The batch may name this version twice, with and without its version.
            known = ref.version_key in self._taken
            claimed = None if known else self._ledger.claim(ref, overwrite=self._overwrite)
            if isinstance(claimed, Held):
                self._held[ref.version_key] = ref, claimed.owner
                if self._told.get(ref.version_key) != claimed.owner:
                    self._told[ref.version_key] = claimed.owner
                    log.info("%s is being read by %s.", ref.uri, claimed.owner)
                return None
            self._taken.add(ref.version_key)
            if isinstance(claimed, Lease):
                return claimed
            self._summary.documents["skipped"] += 1
            if claimed is not None and claimed.by_us is not None:
                self._summary.judge(ref, claimed.by_us, self._budget)
            return None

    def _add(self, reading: Reading, page: PageResult) -> None:
        """Store a page; the document ends with its last one."""
        with self._lock:
            if reading.lost:
                return
            try:
                self._ledger.write_page(reading.held_lease, page)
            except LeaseLostError:
                self._lose(reading)
                return
            reading.awaited.discard(page.number)
            self._summary.count_page(page)
            self._complete_if_read(reading)

    def _complete_if_read(self, reading: Reading) -> None:
        if reading.awaited:
            return
        try:
            result = self._ledger.complete(
                reading.held_lease,
                media_type=reading.media_type,
                page_count=reading.page_count,
                pages=reading.pages,
            )
        except LeaseLostError:
            self._lose(reading)
            return
        self._open.remove(reading)
        self._count(reading.ref, result)

    def _fail(self, reading: Reading, error: DeepSeekOCRError, **changes: Any) -> None:
        """Write why a document was not read (to its end)."""
        with self._lock:
            if reading in self._open:
                self._open.remove(reading)
            result = failure(error, **changes)
            try:
                if reading.lease is None:
                    self._ledger.fail_unclaimed(reading.ref, result)
                else:
                    self._ledger.fail(reading.lease, result)
            except LeaseLostError:
                self._lose(reading)
            else:
                self._count(reading.ref, result)

    def _lose(self, reading: Reading) -> None:
        """Leave a document to the task that took it over."""
        log.warning("%s was taken over by another task.", reading.ref.uri)
        reading.lost = True
        if reading in self._open:
            self._open.remove(reading)
        self._taken.discard(reading.ref.version_key)
        self._held[reading.ref.version_key] = reading.ref, "the task that took it over"

    def _count(self, ref: DocumentRef, result: DocumentResult) -> None:
        self._summary.documents[result.status.value] += 1
        self._summary.judge(ref, result, self._budget)
        log.info(
            "%s: %s, %d pages%s",
            ref.uri,
            result.status,
            result.pages,
            f" ({result.error_code}: {result.error})" if result.error else "",
        )

    def _fail_rest(self, waiting: Iterable[DocumentRef], error: DeepSeekOCRError) -> None:
        """Rows for the documents that an error of the surroundings kept from being read."""
        if error.code.startswith("database"):
            return
        for reading in list(self._open):
            self._fail(reading, error, retryable=True)
        for ref in waiting:
            if ref.version and (lease := self._claim(ref)) is not None:
                self._fail(Reading(ref, lease), error, retryable=True)


def _temporary_directory() -> tempfile.TemporaryDirectory[str]:
    parent = temporary_directory()
    try:
        return tempfile.TemporaryDirectory(prefix="deepseek-ocr-", dir=parent)
    except OSError as error:
        raise local_disk(f"A temporary directory cannot be made in {parent}", error) from error

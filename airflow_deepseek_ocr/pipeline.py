"""The way of a document: fetch, pages, engine, rows. One direction, one document's file at a time.

Pages of several documents share batches, so that small documents fill the GPU too.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.errors import DeepSeekOCRError, DocumentError, UnavailableError
from airflow_deepseek_ocr.ocr.documents import Document, Limits, Page, open_document
from airflow_deepseek_ocr.ocr.engine import Engine, Progress
from airflow_deepseek_ocr.ocr.identity import DocumentRef, Recipe
from airflow_deepseek_ocr.ocr.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.reader import Reader, check_prompt_and_resolution, failed_page
from airflow_deepseek_ocr.ocr.results import DocumentResult, DocumentStatus, PageResult, status_of
from airflow_deepseek_ocr.sources.source import Sources
from airflow_deepseek_ocr.store.rows import TaskInfo
from airflow_deepseek_ocr.store.store import Store

log = logging.getLogger(__name__)


@dataclass
class Summary:
    """What became of a batch of documents.

    :ivar documents: how many ended in each status, and ``skipped``.
    :ivar pages: pages read or failed.
    :ivar failed_pages: pages that failed.
    :ivar text_tokens: tokens generated.
    :ivar vision_tokens: tokens that stood for images.
    :ivar retryable: URIs of documents whose failure was not their own.
    :ivar failed: URIs of documents that failed, with the reasons' codes.
    """

    documents: Counter[str] = field(default_factory=Counter)
    pages: int = 0
    failed_pages: int = 0
    text_tokens: int = 0
    vision_tokens: int = 0
    retryable: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def count(self, ref: DocumentRef, result: DocumentResult) -> None:
        """Add a document."""
        self.documents[result.status.value] += 1
        self.pages += len(result.pages)
        self.failed_pages += result.failed_pages
        self.text_tokens += sum(page.text_tokens for page in result.pages)
        self.vision_tokens += sum(page.vision_tokens for page in result.pages)
        if result.retryable:
            self.retryable.append(ref.uri)
        if result.status is DocumentStatus.FAILED:
            self.failed[ref.uri] = result.error_code or "pages_failed"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, small enough for an XCom whatever the batch's size."""
        return {
            "documents": dict(self.documents),
            "pages": self.pages,
            "failed_pages": self.failed_pages,
            "text_tokens": self.text_tokens,
            "vision_tokens": self.vision_tokens,
            "failed": dict(self.failed),
        }


@dataclass(eq=False)
class _OpenReading:
    """A document of which not all pages are back from the engine."""

    ref: DocumentRef
    media_type: str = ""
    page_count: int = 0
    awaited: set[int] = field(default_factory=set)
    pages: dict[int, PageResult] = field(default_factory=dict)

    def add(self, page: PageResult) -> None:
        self.awaited.discard(page.number)
        self.pages[page.number] = page

    def result(self) -> DocumentResult:
        pages = tuple(self.pages[number] for number in sorted(self.pages))
        status = status_of(pages)
        failures = [page for page in pages if page.error_code]
        return DocumentResult(
            status=status,
            media_type=self.media_type,
            page_count=self.page_count,
            pages=pages,
            error_code=failures[0].error_code if status is DocumentStatus.FAILED else None,
            error=failures[0].error if status is DocumentStatus.FAILED else None,
            retryable=any(page.retryable for page in failures),
        )


class Pipeline:
    """Reads documents into the database.

    :param sources: fetches documents.
    :param get_engine: makes or finds the engine; called when the first page is ready.
    :param store: the results database, with its tables in place.
    :param recipe: how to read.
    :param limits: what a document may cost.
    :param task: the task instance, for the rows.
    :param overwrite: read documents again that are stored already.
    :raises ConfigurationError: if the recipe names a prompt, resolution or pages that do not exist.
    """

    def __init__(
        self,
        *,
        sources: Sources,
        get_engine: Callable[[], Engine],
        store: Store,
        recipe: Recipe,
        limits: Limits | None = None,
        task: TaskInfo | None = None,
        overwrite: bool = False,
    ) -> None:
        self._sources, self._store, self._recipe = sources, store, recipe
        self._limits, self._task, self._overwrite = (
            limits or Limits(),
            task or TaskInfo(),
            overwrite,
        )
        self._selection = PageSelection.parse(recipe.pages)
        check_prompt_and_resolution(recipe.prompt, recipe.resolution)
        self._get_engine = get_engine
        self._summary = Summary()
        self._open: list[_OpenReading] = []
        self._taken: set[str] = set()
        # An engine draws pages in a thread of its own, where documents may fail as well.
        self._lock = threading.RLock()

    def run(
        self, refs: Iterable[DocumentRef], progress: Callable[[Progress], None] | None = None
    ) -> Summary:
        """Read the documents; each ends in a row, read or not.

        :param progress: called every few seconds.
        :raises UnavailableError: the database or the model is out of reach.
        :raises ConfigurationError: the model's settings are wrong. In both cases the documents not
            read have a row that says so, as far as their version is known and the database answers.
        """
        self._summary, self._open, self._taken = Summary(), [], set()
        waiting = deque(dict.fromkeys(refs))
        with tempfile.TemporaryDirectory(prefix="deepseek-ocr-") as folder:
            pages = self._pages(waiting, Path(folder) / "document")
            try:
                # The model is loaded for a page to read, not for documents that are stored already.
                for first in pages:
                    reader = Reader(
                        self._get_engine(), self._recipe.prompt, self._recipe.resolution
                    )
                    with closing(reader.read(chain([first], pages), progress)) as results:
                        for reading, page in results:
                            self._add(reading, page)
            except DeepSeekOCRError as error:
                self._fail_rest(waiting, error)
                raise
            finally:
                pages.close()
        return self._summary

    def _pages(
        self, waiting: deque[DocumentRef], target: Path
    ) -> Generator[tuple[_OpenReading, Page], None, None]:
        """Pages of one document after the other; what cannot be read is written as failed."""
        while waiting:
            ref = waiting.popleft()
            try:
                found = self._fetch(ref, target)
                if found is None:
                    self._summary.documents["skipped"] += 1
                    continue
                ref = found
                with self._open_document(target) as document:
                    yield from self._pages_of(ref, document)
            except DeepSeekOCRError as error:
                if error.code.startswith("database"):
                    raise
                self._write(ref, _failed(error))
                if error.code == "overwritten":
                    waiting.append(ref.unversioned())
            finally:
                target.unlink(missing_ok=True)

    def _pages_of(
        self, ref: DocumentRef, document: Document
    ) -> Iterator[tuple[_OpenReading, Page]]:
        reading = _OpenReading(
            ref, document.media_type, document.page_count, set(document.page_numbers)
        )
        self._open.append(reading)
        for number in document.page_numbers:
            try:
                page = document.page(number)
            except Exception as error:
                self._add(reading, failed_page(number, self._recipe.resolution, _as_own(error)))
            else:
                yield reading, page

    def _fetch(self, ref: DocumentRef, target: Path) -> DocumentRef | None:
        def wanted(found: DocumentRef) -> bool:
            if found.version_key in self._taken:
                return False  # the batch names this version twice, with and without its version
            return self._overwrite or not self._store.is_settled(found, self._recipe)

        try:
            found = self._sources.fetch(ref, target, wanted)
        except OSError as error:
            raise UnavailableError(
                "local_disk",
                f"{ref.uri} cannot be copied to {target.parent}: {error}. Free disk space.",
            ) from error
        if found is not None:
            self._taken.add(found.version_key)
        return found

    def _open_document(self, path: Path) -> Document:
        try:
            return open_document(
                path, selection=self._selection, dpi=self._recipe.dpi, limits=self._limits
            )
        except Exception as error:
            raise _as_own(error) from error

    def _add(self, reading: _OpenReading, page: PageResult) -> None:
        """Take a page's result; write the document when it was the last."""
        with self._lock:
            reading.add(page)
            if not reading.awaited:
                self._open.remove(reading)
                self._write(reading.ref, reading.result())

    def _write(self, ref: DocumentRef, result: DocumentResult) -> None:
        with self._lock:
            self._store.write(ref, self._recipe, result, self._task)
            self._summary.count(ref, result)
        log.info(
            "%s: %s, %d pages%s",
            ref.uri,
            result.status,
            len(result.pages),
            f" ({result.error_code}: {result.error})" if result.error else "",
        )

    def _fail_rest(self, waiting: Iterable[DocumentRef], error: DeepSeekOCRError) -> None:
        """Rows for the documents that an error of the surroundings kept from being read."""
        if error.code.startswith("database"):
            return
        unread = [
            *(reading.ref for reading in self._open),
            *(ref for ref in waiting if ref.version),
        ]
        for ref in unread:
            if not self._store.is_settled(ref, self._recipe):
                self._write(ref, replace(_failed(error), retryable=True))


def _failed(error: DeepSeekOCRError) -> DocumentResult:
    return DocumentResult(
        DocumentStatus.FAILED,
        error_code=error.code,
        error=str(error),
        retryable=isinstance(error, UnavailableError),
    )


def _as_own(error: Exception) -> DeepSeekOCRError:
    """The error, or one that says that the file brought a library to fail in a new way."""
    if isinstance(error, DeepSeekOCRError):
        return error
    log.exception("A document could not be read.", exc_info=error)
    return DocumentError(
        "unreadable",
        f"The document cannot be read: {type(error).__name__}: {error}. Repair or convert it.",
    )

"""The operator: documents in, rows in the database out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, BaseOperator

from airflow_deepseek_ocr.airflow_support.error_mapping import airflow_errors
from airflow_deepseek_ocr.airflow_support.results_database import DEFAULT_DB_CONN_ID, open_store
from airflow_deepseek_ocr.connection.fields import DEFAULT_CONN_ID
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
from airflow_deepseek_ocr.ocr.documents.limits import DEFAULT_DPI, Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.error_budget import DEFAULT_MAX_FAILED_PAGES, ErrorBudget

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_deepseek_ocr.ocr.engine_protocol import Progress
    from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
    from airflow_deepseek_ocr.sources.base import Sources

_PROGRESS_EVERY_S = 30.0


class DeepSeekOCROperator(BaseOperator):
    """Read documents with DeepSeek-OCR and write them to a database.

    Documents that are stored already, in the same version and read the same way, are skipped; of one
    that a dead task left half read, only the missing pages are read. A document that cannot be read
    gets a row with status ``failed`` and the reason, and the others go on. The task fails, and is
    worth a retry, if the reason is not the document's own (storage, database or model out of
    reach); it fails without a retry if more pages of a document fail than ``max_failed_pages``. The
    rows are there in any case.

    :param documents: what to read: batches or documents from
        :class:`~airflow_deepseek_ocr.sensors.s3.S3NewDocumentSensor`, or URIs (``s3://``,
        ``file://``, and what Airflow's ``ObjectStoragePath`` opens). (templated)
    :param s3_prefix: or all documents under ``s3://bucket/prefix``. (templated)
    :param deepseek_ocr_conn_id: the model's connection. (templated)
    :param db_conn_id: connection to the results database: postgres, mysql or sqlite. (templated)
    :param aws_conn_id: connection for ``s3://`` documents. (templated)
    :param storage_conn_id: connection for documents of other schemes than ``s3`` and ``file``.
    :param prompt: ``markdown``, ``ocr``, ``free``, ``figure``, ``describe`` or ``locate:TEXT``; the
        connection's default if None. (templated)
    :param resolution: ``tiny``, ``small``, ``base``, ``large``, ``gundam`` or ``auto``; the
        connection's default if None. (templated)
    :param reread: how a page is read again whose text is found degenerate: steps in a list, or with
        commas between them: ``guard``, ``halves``, ``quarters``, resolution modes, ``text_layer``; the
        connection's default if None, ``none`` for no step. (templated)
    :param text_layer: what PDF pages' own text is used for: ``off``, ``compare`` or ``first``; the
        connection's default if None. (templated)
    :param min_score: the score from which on a reading is accepted, 0 (all are) to 1.
    :param pages: pages of each document, such as ``1-3,10-``; all if None. (templated)
    :param dpi: resolution at which PDF pages are rendered, in dots per inch.
    :param overwrite: read documents again that are stored already; retries of the task go on where
        it stopped.
    :param fail_on_document_errors: fail the task at its end if a document could not be read at all,
        without a retry.
    :param max_failed_pages: how many pages of a document may fail: a share (float, 0 to 1), a number
        (int), or None for any number. (templated)
    :param lease: how long a task that was killed keeps others from the documents it was reading; its
        own retries go on at once.
    :param wait_for_others: how long to wait at the end for documents that other tasks are reading;
        then the task fails, worth a retry. None does not wait: the documents are returned under
        ``held``.
    :param max_bytes: largest file read, in bytes.
    :param max_pages: most pages read of one document.
    :param max_pixels: most pixels of a page.
    :param max_page_seconds: longest time that opening a document or drawing a page may take, in seconds.
    :param max_page_memory: most memory that drawing may take, in bytes.
    """

    template_fields: Sequence[str] = (
        "documents",
        "s3_prefix",
        "deepseek_ocr_conn_id",
        "db_conn_id",
        "aws_conn_id",
        "prompt",
        "resolution",
        "retry_with",
        "text_layer",
        "pages",
        "max_failed_pages",
    )
    ui_color = "#dbe7ff"

    def __init__(
        self,
        *,
        documents: Any = None,
        s3_prefix: str | None = None,
        deepseek_ocr_conn_id: str = DEFAULT_CONN_ID,
        db_conn_id: str = DEFAULT_DB_CONN_ID,
        aws_conn_id: str | None = "aws_default",
        storage_conn_id: str | None = None,
        prompt: str | None = None,
        resolution: str | None = None,
        retry_with: str | Sequence[str] | None = None,
        text_layer: str | None = None,
        min_score: float = 0.5,
        pages: str | None = None,
        dpi: int = DEFAULT_DPI,
        overwrite: bool = False,
        fail_on_document_errors: bool = False,
        max_failed_pages: int | float | str | None = DEFAULT_MAX_FAILED_PAGES,
        lease: timedelta = timedelta(minutes=2),
        wait_for_others: timedelta | None = timedelta(minutes=10),
        max_bytes: int = Limits.max_bytes,
        max_pages: int = Limits.max_pages,
        max_pixels: int = Limits.max_pixels,
        max_page_seconds: float = Limits.max_page_seconds,
        max_page_memory: int = Limits.max_page_memory,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.documents = documents
        self.s3_prefix = s3_prefix
        self.deepseek_ocr_conn_id = deepseek_ocr_conn_id
        self.db_conn_id = db_conn_id
        self.aws_conn_id = aws_conn_id
        self.storage_conn_id = storage_conn_id
        self.prompt = prompt
        self.resolution = resolution
        self.retry_with = retry_with
        self.text_layer = text_layer
        self.min_score = min_score
        self.pages = pages
        self.dpi = dpi
        self.overwrite = overwrite
        self.fail_on_document_errors = fail_on_document_errors
        self.max_failed_pages = max_failed_pages
        self.lease = lease
        self.wait_for_others = wait_for_others
        self.max_bytes = max_bytes
        self.max_pages = max_pages
        self.max_pixels = max_pixels
        self.max_page_seconds = max_page_seconds
        self.max_page_memory = max_page_memory
        self._pipeline: Pipeline | None = None

    @cached_property
    def hook(self) -> DeepSeekOCRHook:
        """The model's hook."""
        return DeepSeekOCRHook(self.deepseek_ocr_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the documents.

        :return: how many documents ended how, pages, tokens, and the documents that failed.
        :raises AirflowFailException: a setting is wrong; more pages of a document failed than
            ``max_failed_pages``; or documents failed and ``fail_on_document_errors`` is set.
        :raises AirflowException: something outside the documents failed, or another task is still
            reading some of them; a retry reads the rest.
        """
        from airflow_deepseek_ocr.pipeline.pipeline import Pipeline

        with airflow_errors():
            config = self.hook.settings.config(
                prompt=self.prompt,
                resolution=self.resolution,
                pages=self.pages,
                dpi=self.dpi,
                retry_with=self.retry_with,
                text_layer=self.text_layer,
                min_score=self.min_score,
            )
            limits = Limits(
                max_bytes=self.max_bytes,
                max_pages=self.max_pages,
                max_pixels=self.max_pixels,
                max_page_seconds=self.max_page_seconds,
                max_page_memory=self.max_page_memory,
            )
            budget = ErrorBudget.of(self.max_failed_pages)
            with closing(open_store(self.db_conn_id)) as store:
                self._pipeline = Pipeline(
                    sources=self._sources(limits),
                    get_engine=self.hook.get_conn,
                    store=store,
                    config=config,
                    limits=limits,
                    task=_task_info(context),
                    overwrite=self.overwrite,
                    budget=budget,
                    lease=self.lease,
                    wait_for_others=self.wait_for_others,
                )
                summary = self._pipeline.run(self._references(), self._log_progress())
        self.log.info("Documents: %s; pages: %d", dict(summary.documents), summary.pages)
        if summary.retryable:
            raise AirflowException(
                f"{len(summary.retryable)} documents could not be read for reasons outside them, such as "
                f"{summary.retryable[0]}; the reasons are in ocr_documents. A retry reads only these."
            )
        if summary.held and self.wait_for_others is not None:
            raise AirflowException(
                f"{len(summary.held)} documents are still being read by other tasks: {summary.held}. "
                "A retry waits for them again; raise wait_for_others for longer documents."
            )
        if summary.over_budget:
            raise AirflowFailException(
                f"More pages failed than max_failed_pages={self.max_failed_pages} allows: "
                f"{summary.over_budget}. The reasons are in ocr_pages."
            )
        if summary.failed and self.fail_on_document_errors:
            raise AirflowFailException(
                f"{len(summary.failed)} documents could not be read: {summary.failed}"
            )
        return summary.as_dict()

    def on_kill(self) -> None:
        """Let others read at once what this task was reading."""
        if self._pipeline is not None:
            # In a thread, not waited for: the signal may have come in the middle of a transaction
            # whose lock on the row it needs.
            threading.Thread(target=self._pipeline.release, daemon=True).start()

    def _references(self) -> list[DocumentRef]:
        if (self.documents is None) == (self.s3_prefix is None):
            raise AirflowFailException("Give either documents or s3_prefix.")
        if self.s3_prefix is not None:
            from airflow_deepseek_ocr.sources.s3 import Listing, split_uri

            bucket, prefix = split_uri(self.s3_prefix)
            return list(Listing(bucket, prefix=prefix).documents(self._s3_client()))
        try:
            return [DocumentRef.of(document) for document in _flatten(self.documents)]
        except (ConfigurationError, TypeError) as error:
            raise AirflowFailException(str(error)) from error

    def _sources(self, limits: Limits) -> Sources:
        from airflow_deepseek_ocr.sources.base import Sources
        from airflow_deepseek_ocr.sources.files import FileSource, ObjectStorageSource
        from airflow_deepseek_ocr.sources.s3 import S3Source

        return Sources(
            {
                "s3": lambda: S3Source(self._s3_client(), limits),
                "file": lambda: FileSource(limits),
            },
            fallback=lambda: ObjectStorageSource(limits, self.storage_conn_id),
        )

    def _s3_client(self) -> Any:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        return S3Hook(aws_conn_id=self.aws_conn_id).get_conn()

    def _log_progress(self) -> Any:
        last = time.monotonic()

        def log(progress: Progress) -> None:
            nonlocal last
            if time.monotonic() - last >= _PROGRESS_EVERY_S:
                last = time.monotonic()
                self.log.info(
                    "%d pages read; %d more are being read, %d tokens so far",
                    progress.pages_done,
                    progress.pages_in_flight,
                    progress.tokens,
                )

        return log


def _flatten(documents: Any) -> Iterator[Any]:
    """Documents out of one, a list of them, or a list of batches."""
    if isinstance(documents, (str, dict, DocumentRef)):
        yield documents
    else:
        for each in documents:
            yield from _flatten(each)


def _task_info(context: Context) -> Any:
    from airflow_deepseek_ocr.store.row_values import TaskInfo

    instance: Any = context.get("ti")
    return TaskInfo(
        dag_id=getattr(instance, "dag_id", None),
        run_id=getattr(instance, "run_id", None),
        task_id=getattr(instance, "task_id", None),
        map_index=getattr(instance, "map_index", None),
        try_number=getattr(instance, "try_number", None),
    )

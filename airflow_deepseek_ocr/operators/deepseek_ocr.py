"""The operator that reads documents into the results database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import fields
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_deepseek_ocr.airflow_support.connections import (
    DEFAULT_AWS_CONN_ID,
    DEFAULT_DB_CONN_ID,
    s3_client,
)
from airflow_deepseek_ocr.airflow_support.documents import listed_documents, references
from airflow_deepseek_ocr.airflow_support.error_mapping import airflow_errors
from airflow_deepseek_ocr.airflow_support.exports import export_plan
from airflow_deepseek_ocr.airflow_support.results_database import document_lists, open_store
from airflow_deepseek_ocr.airflow_support.results_page import ResultsLink
from airflow_deepseek_ocr.airflow_support.table_names import TABLE_NAMES, configured_names
from airflow_deepseek_ocr.airflow_support.task.outcome import raise_for, return_value
from airflow_deepseek_ocr.airflow_support.task.task_log import TaskLog, less_noise
from airflow_deepseek_ocr.airflow_support.task_info import task_info
from airflow_deepseek_ocr.airflow_support.task_metrics import send_batch
from airflow_deepseek_ocr.airflow_support.templates import check_literals, check_values
from airflow_deepseek_ocr.connection import values
from airflow_deepseek_ocr.connection.fields import DEFAULT_CONN_ID
from airflow_deepseek_ocr.connection.options import OcrOptions
from airflow_deepseek_ocr.connection.render_processes import render_processes
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from airflow_deepseek_ocr.pipeline.error_budget import DEFAULT_MAX_FAILED_PAGES, ErrorBudget
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.sources.s3 import Listing
from airflow_deepseek_ocr.sources.s3_uri import split_uri

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
    from airflow_deepseek_ocr.sources.base import Sources

_text = values.optional(values.text)
#: How the arguments are converted that are neither documents nor OCR options.
_VALUES: dict[str, values.Convert] = {
    "s3_prefix": _text,
    "deepseek_ocr_conn_id": values.text,
    "db_conn_id": values.text,
    **TABLE_NAMES,
    "aws_conn_id": _text,
    "requester_pays": values.boolean,
    "storage_conn_id": _text,
    "attachments": values.attachments,
    "exports": values.optional(values.texts),
    "export_to": _text,
    "overwrite": values.boolean,
    "fail_on_document_errors": values.boolean,
    "lease": values.positive_duration,
    "wait_for_others": values.optional(values.duration),
    "max_bytes": values.integer,
    "max_pages": values.integer,
    "max_pixels": values.integer,
    "max_page_seconds": values.number,
    "max_page_memory": values.integer,
}


class DeepSeekOCROperator(BaseOperator):
    """Read documents with DeepSeek-OCR and write their pages and regions to a database.

    Documents that are stored in the same version and with the same processing configuration are skipped.
    If an earlier task died, only the missing pages of its documents are read. A document that cannot be
    read is recorded with status ``failed`` and an error code; the others are processed as usual. The
    task fails and is retried if the cause lies outside the document (storage, database or model are
    unreachable). It fails without a retry if more pages of a document fail than ``max_failed_pages``. The
    rows are written in all cases.

    The parameters ``prompt`` to ``min_score`` are those of
    :class:`~airflow_deepseek_ocr.connection.options.OcrOptions`. All parameters are templated; text that a
    template rendered is converted to the parameter's type, and fails the task if it cannot be.

    :param documents: batches or documents from
        :class:`~airflow_deepseek_ocr.sensors.s3.S3NewDocumentSensor`, or URIs: ``s3://``, ``file://``,
        and the schemes of Airflow's ``ObjectStoragePath``. A text that holds a list in JSON or as a Python
        literal is that list. A batch may name a part of a stored list. An empty list succeeds without
        documents; None fails.
    :param s3_prefix: instead of ``documents``: ``s3://bucket/prefix``, all documents under it.
    :param deepseek_ocr_conn_id: connection of the model.
    :param db_conn_id: connection to the results database: postgres, mysql or sqlite.
    :param db_schema: schema of the tables; None takes the one of Airflow's configuration, or else the
        connection's own.
    :param db_table_prefix: beginning of the tables' names; None takes the one of Airflow's configuration.
    :param aws_conn_id: connection to S3; None takes the worker's own credentials.
    :param requester_pays: pay for requests to a bucket whose requesters pay.
    :param storage_conn_id: connection for documents of other schemes than ``s3`` and ``file``.
    :param attachments: treatment of PDFs and images that are attached to a PDF: ``name`` (in the log and the
        container's row) or ``read``, as separate documents.
    :param exports: formats of the files that are made of each document, in a list or separated by commas:
        ``markdown``, ``text``, ``json``, ``jsonl``, ``regions_jsonl``, ``csv``, ``pdf``, ``hocr``, ``alto``,
        ``docling``, ``figures``, ``overlay``, ``webp``, or ``all``; None takes the connection's.
    :param export_to: where they are written: ``s3://bucket/prefix``, with the connection ``aws_conn_id``, or
        the absolute path of a directory that all workers share; None takes the connection's.
    :param overwrite: read stored documents again. Retries of the task continue where it stopped.
    :param fail_on_document_errors: fail the task without a retry if a document could not be read at all.
    :param max_failed_pages: how many pages of a document may fail: a share (float, 0 to 1), a number
        (int), or None for any number.
    :param lease: how long the documents of a killed task stay leased. Retries of the same task do not
        wait for it.
    :param wait_for_others: how long to wait at the end for documents that other tasks are reading;
        after that the task fails and is retried. None does not wait: the documents are returned under
        ``leased_by_others``.
    :param max_bytes: largest file, in bytes.
    :param max_pages: most pages read from one document.
    :param max_pixels: most pixels of a page image.
    :param max_page_seconds: longest time for opening a document or rendering a page, in seconds.
    :param max_page_memory: most memory for opening a document or rendering a page, in bytes.
    :raises AirflowFailException: an option has an invalid value; templated ones are checked when the
        task runs.
    """

    template_fields: Sequence[str] = (
        "documents",
        *(each.name for each in fields(OcrOptions)),
        "max_failed_pages",
        *_VALUES,
    )
    operator_extra_links = (ResultsLink(),)
    ui_color = "#dbe7ff"

    def __init__(
        self,
        *,
        documents: Any = None,
        s3_prefix: str | None = None,
        deepseek_ocr_conn_id: str = DEFAULT_CONN_ID,
        db_conn_id: str = DEFAULT_DB_CONN_ID,
        db_schema: str | None = None,
        db_table_prefix: str | None = None,
        aws_conn_id: str | None = DEFAULT_AWS_CONN_ID,
        requester_pays: bool = False,
        storage_conn_id: str | None = None,
        prompt: str | None = OcrOptions.prompt,
        resolution: str | None = OcrOptions.resolution,
        retry_with: str | Sequence[str] | None = OcrOptions.retry_with,
        text_layer: str | None = OcrOptions.text_layer,
        figures: str | None = OcrOptions.figures,
        pages: str | None = OcrOptions.pages,
        dpi: int = OcrOptions.dpi,
        min_score: float = OcrOptions.min_score,
        attachments: str = "name",
        exports: str | Sequence[str] | None = None,
        export_to: str | None = None,
        overwrite: bool = PipelineOptions.overwrite,
        fail_on_document_errors: bool = False,
        max_failed_pages: int | float | str | None = DEFAULT_MAX_FAILED_PAGES,
        lease: timedelta = PipelineOptions.lease,
        wait_for_others: timedelta | None = PipelineOptions.wait_for_others,
        max_bytes: int = Limits.max_bytes,
        max_pages: int = Limits.max_pages,
        max_pixels: int = Limits.max_pixels,
        max_page_seconds: float = Limits.max_page_seconds,
        max_page_memory: int = Limits.max_page_memory,
        **kwargs: Any,
    ) -> None:
        """Keep each argument as the attribute of its name, where Airflow renders templates."""
        super().__init__(**kwargs)
        self.documents = documents
        self.s3_prefix = s3_prefix
        self.deepseek_ocr_conn_id = deepseek_ocr_conn_id
        self.db_conn_id = db_conn_id
        self.db_schema = db_schema
        self.db_table_prefix = db_table_prefix
        self.aws_conn_id = aws_conn_id
        self.requester_pays = requester_pays
        self.storage_conn_id = storage_conn_id
        self.prompt = prompt
        self.resolution = resolution
        self.retry_with = retry_with
        self.text_layer = text_layer
        self.figures = figures
        self.pages = pages
        self.dpi = dpi
        self.min_score = min_score
        self.attachments = attachments
        self.exports = exports
        self.export_to = export_to
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
        self._documents: list[DocumentRef] | None = None
        check_literals(OcrOptions, self)
        check_values(_VALUES, self)

    @cached_property
    def hook(self) -> DeepSeekOCRHook:
        """The model's hook."""
        return DeepSeekOCRHook(self.deepseek_ocr_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the documents.

        :return: numbers of documents by status, of pages and tokens, and the documents that failed.
        :raises AirflowFailException: a setting is invalid; more pages of a document failed than
            ``max_failed_pages``; or documents failed and ``fail_on_document_errors`` is set.
        :raises AirflowException: the cause of a failure lies outside the documents, or another task is
            still reading some of them. A retry reads the rest.
        """
        started, log = time.monotonic(), TaskLog(self.log, self)
        counts: dict[str, Any] = {}
        self._pipeline = None
        try:
            with airflow_errors(), less_noise():
                values.convert_attributes(self, _VALUES)
                self._documents = self._given_documents()
                build_pipeline = self._pipeline_builder(context)
                names = configured_names(self.db_schema, self.db_table_prefix)
                with closing(open_store(self.db_conn_id, names=names)) as store:
                    self._pipeline = build_pipeline(store=store)
                    documents = self._references()
                    log.found(documents)
                    summary = self._pipeline.run(documents, log.progress(self._pipeline))
                    counts = return_value(summary, document_lists(store))
        finally:
            seconds = time.monotonic() - started
            self._log_record(log, counts, seconds)
            if self._pipeline is not None:
                log.ended(self._pipeline, seconds, task_info(context))
                send_batch(self._pipeline.summary, seconds, task_info(context))
        raise_for(
            summary,
            max_failed_pages=self.max_failed_pages,
            waits_for_others=self.wait_for_others is not None,
            fail_on_document_errors=self.fail_on_document_errors,
        )
        return counts

    def _log_record(self, log: TaskLog, counts: dict[str, Any], seconds: float) -> None:
        """Write what the run depended on and its counts to the log, as one block."""
        from airflow_deepseek_ocr.run_record.task import HEADING, task_record

        try:
            settings = self.hook.settings
            config = settings.processing_config(OcrOptions.of(self))
        except Exception:
            return  # the settings are invalid; the task's error says so
        title = f"{HEADING}: settings, host, versions, counts"
        log.group(title, task_record(settings, config, counts, seconds))

    def _pipeline_builder(self, context: Context) -> Callable[..., Pipeline]:
        """Return the pipeline but for its store: settings are checked before a database is opened."""
        from airflow_deepseek_ocr.pipeline.pipeline import Pipeline

        limits = Limits(
            max_bytes=self.max_bytes,
            max_pages=self.max_pages,
            max_pixels=self.max_pixels,
            max_page_seconds=self.max_page_seconds,
            max_page_memory=self.max_page_memory,
        )
        return partial(
            Pipeline,
            sources=self._sources(limits),
            get_engine=self.hook.get_conn,
            config=self.hook.settings.processing_config(OcrOptions.of(self)),
            task=task_info(context),
            exports=export_plan(
                self.exports,
                self.export_to,
                self.hook.settings,
                self._s3_client,
                uris=(ref.uri for ref in self._documents or ()),
                prefix=self.s3_prefix,
            ),
            options=PipelineOptions(
                limits=limits,
                sandbox=Sandbox(self.hook.settings.sandbox),
                render_processes=render_processes(self.hook.settings),
                overwrite=self.overwrite,
                read_attachments=self.attachments == "read",
                budget=ErrorBudget.of(self.max_failed_pages),
                lease=self.lease,
                wait_for_others=self.wait_for_others,
            ),
        )

    def get_openlineage_facets_on_complete(self, _: Any) -> OperatorLineage | None:
        """Return the documents that were read and the tables that were written; OpenLineage asks for it."""
        # It imports the OpenLineage provider, which alone calls this.
        from airflow_deepseek_ocr.airflow_support.lineage import batch_lineage

        return batch_lineage(self._documents or (), self._pipeline)

    # What a task that failed had stored stays stored.
    get_openlineage_facets_on_failure = get_openlineage_facets_on_complete

    def on_kill(self) -> None:
        """Release the leases of this task's documents, so that other tasks need not wait."""
        if self._pipeline is not None:
            # In a thread that is not joined: the signal may have interrupted a transaction that holds
            # the lock on the row.
            threading.Thread(target=self._pipeline.release, daemon=True).start()

    def _given_documents(self) -> list[DocumentRef] | None:
        """Return the references in ``documents``; None if ``s3_prefix`` is to be listed.

        :raises ConfigurationError: ``argument``, ``document_list``, ``document_reference``, ``s3_uri``.
        """
        given = values.optional(lambda _, value: value)("documents", self.documents)
        if (given is None) == (self.s3_prefix is None):
            raise ConfigurationError(
                ErrorCode.ARGUMENT,
                "Give either documents or s3_prefix, and not None or an empty text "
                f"(documents: {type(self.documents).__name__}, s3_prefix: {self.s3_prefix!r}).",
            )
        if self.s3_prefix is not None:
            split_uri(self.s3_prefix.strip())
            return None
        names = configured_names(self.db_schema, self.db_table_prefix)
        found = listed_documents(references(given), self.db_conn_id, names)
        if not found:
            self.log.warning("documents names no documents: there is nothing to read.")
        return found

    def _references(self) -> list[DocumentRef]:
        if self._documents is None:
            bucket, prefix = split_uri((self.s3_prefix or "").strip())
            self._documents = list(Listing(bucket, prefix=prefix).documents(self._s3_client()))
        return self._documents

    def _s3_client(self) -> Any:
        return s3_client(self.aws_conn_id, requester_pays=self.requester_pays)

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

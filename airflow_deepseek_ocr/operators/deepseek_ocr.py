"""The operator: documents in, rows in the database out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, BaseOperator

from airflow_deepseek_ocr.connection import DEFAULT_CONN_ID
from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
from airflow_deepseek_ocr.hooks.errors import airflow_errors
from airflow_deepseek_ocr.hooks.results_store import DEFAULT_DB_CONN_ID, open_store
from airflow_deepseek_ocr.ocr.documents import DEFAULT_DPI, Limits
from airflow_deepseek_ocr.ocr.identity import DocumentRef

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_deepseek_ocr.ocr.engine import Progress
    from airflow_deepseek_ocr.sources.source import Sources

_PROGRESS_EVERY_S = 30.0


class DeepSeekOCROperator(BaseOperator):
    """Read documents with DeepSeek-OCR and write them to a database.

    Documents that are stored already, in the same version and read the same way, are skipped. A
    document that cannot be read gets a row with status ``failed`` and the reason, and the others go
    on; the task fails, and is worth a retry, only if the reason is not the document's own (storage,
    database or model out of reach).

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
    :param resolution: ``tiny``, ``small``, ``base``, ``large`` or ``gundam``; the connection's default
        if None. (templated)
    :param pages: pages of each document, such as ``1-3,10-``; all if None. (templated)
    :param dpi: resolution at which PDF pages are rendered, in dots per inch.
    :param overwrite: read documents again that are stored already.
    :param fail_on_document_errors: fail the task at its end if a document could not be read at all,
        without a retry.
    :param max_bytes: largest file read, in bytes.
    :param max_pages: most pages read of one document.
    :param max_pixels: most pixels of a page.
    """

    template_fields: Sequence[str] = (
        "documents",
        "s3_prefix",
        "deepseek_ocr_conn_id",
        "db_conn_id",
        "aws_conn_id",
        "prompt",
        "resolution",
        "pages",
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
        pages: str | None = None,
        dpi: int = DEFAULT_DPI,
        overwrite: bool = False,
        fail_on_document_errors: bool = False,
        max_bytes: int = Limits.max_bytes,
        max_pages: int = Limits.max_pages,
        max_pixels: int = Limits.max_pixels,
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
        self.pages = pages
        self.dpi = dpi
        self.overwrite = overwrite
        self.fail_on_document_errors = fail_on_document_errors
        self.max_bytes = max_bytes
        self.max_pages = max_pages
        self.max_pixels = max_pixels

    @cached_property
    def hook(self) -> DeepSeekOCRHook:
        """The model's hook."""
        return DeepSeekOCRHook(self.deepseek_ocr_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the documents.

        :return: how many documents ended how, pages, tokens, and the documents that failed.
        :raises AirflowFailException: a setting is wrong, or documents failed and
            ``fail_on_document_errors`` is set.
        :raises AirflowException: something outside the documents failed; a retry reads the rest.
        """
        from airflow_deepseek_ocr.pipeline import Pipeline

        with airflow_errors():
            recipe = self.hook.settings.recipe(
                prompt=self.prompt, resolution=self.resolution, pages=self.pages, dpi=self.dpi
            )
            limits = Limits(self.max_bytes, self.max_pages, self.max_pixels)
            with closing(open_store(self.db_conn_id)) as store:
                pipeline = Pipeline(
                    sources=self._sources(limits),
                    get_engine=self.hook.get_conn,
                    store=store,
                    recipe=recipe,
                    limits=limits,
                    task=_task_info(context),
                    overwrite=self.overwrite,
                )
                summary = pipeline.run(self._references(), self._log_progress())
        self.log.info("Documents: %s; pages: %d", dict(summary.documents), summary.pages)
        if summary.retryable:
            raise AirflowException(
                f"{len(summary.retryable)} documents could not be read for reasons outside them, such as "
                f"{summary.retryable[0]}; the reasons are in ocr_documents. A retry reads only these."
            )
        if summary.failed and self.fail_on_document_errors:
            raise AirflowFailException(
                f"{len(summary.failed)} documents could not be read: {summary.as_dict()['failed']}"
            )
        return summary.as_dict()

    def _references(self) -> list[DocumentRef]:
        if (self.documents is None) == (self.s3_prefix is None):
            raise AirflowFailException("Give either documents or s3_prefix.")
        if self.s3_prefix is not None:
            from airflow_deepseek_ocr.sources.s3 import Listing, split_uri

            bucket, prefix = split_uri(self.s3_prefix)
            return list(Listing(bucket, prefix).documents(self._s3_client()))
        try:
            return [DocumentRef.of(document) for document in _flatten(self.documents)]
        except (TypeError, ValueError) as error:
            raise AirflowFailException(str(error)) from error

    def _sources(self, limits: Limits) -> Sources:
        from airflow_deepseek_ocr.sources.files import FileSource, ObjectStorageSource
        from airflow_deepseek_ocr.sources.s3 import S3Source
        from airflow_deepseek_ocr.sources.source import Sources

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
    from airflow_deepseek_ocr.store.rows import TaskInfo

    instance: Any = context.get("ti")
    return TaskInfo(
        dag_id=getattr(instance, "dag_id", None),
        run_id=getattr(instance, "run_id", None),
        task_id=getattr(instance, "task_id", None),
        map_index=getattr(instance, "map_index", None),
        try_number=getattr(instance, "try_number", None),
    )

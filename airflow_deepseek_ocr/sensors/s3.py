"""The sensor for new documents in S3."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_deepseek_ocr.airflow_support.error_mapping import airflow_errors
from airflow_deepseek_ocr.airflow_support.new_documents import NewDocuments
from airflow_deepseek_ocr.airflow_support.results_database import DEFAULT_DB_CONN_ID
from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
from airflow_deepseek_ocr.ocr.documents.limits import DEFAULT_DPI
from airflow_deepseek_ocr.sources.s3 import DEFAULT_SUFFIXES
from airflow_deepseek_ocr.triggers.s3 import S3NewDocumentTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class S3NewDocumentSensor(BaseSensorOperator):
    """Wait until a bucket holds documents that have no row in the results database.

    Returns them in batches, each a list of ``{"uri", "version", "version_id", "etag", "size",
    "last_modified"}``: map an operator over the batches with ``expand(documents=sensor.output)``.

    :param bucket: the bucket. (templated)
    :param prefix: keys start with this. (templated)
    :param suffixes: keys end with one of these, in any case; None takes all.
    :param glob: keys match this pattern, in which ``*`` matches ``/`` too; None takes all. (templated)
    :param minimum_age: time since the object was last modified, for writers that overwrite a key
        several times.
    :param batch_size: documents in a batch, and so in one mapped task.
    :param max_documents: documents handed on at once; the others are new at the next run.
    :param with_version_ids: identify versions by the bucket's version ids instead of ETags. Needs a
        bucket that keeps versions and the right to list them.
    :param retry_failed_after: when a document is new again whose reading failed for a reason
        outside it, such as denied access.
    :param deepseek_ocr_conn_id: with this, new means new to the recipe of that connection and of
        the following arguments up to ``dpi``, which must be the operator's; without, any row counts.
    :param prompt: see the operator.
    :param resolution: see the operator.
    :param reread: see the operator.
    :param text_layer: see the operator.
    :param min_score: see the operator.
    :param pages: see the operator.
    :param dpi: see the operator.
    :param aws_conn_id: connection to S3.
    :param db_conn_id: connection to the results database.
    :param deferrable: wait in the triggerer, without a worker slot.
    """

    template_fields: Sequence[str] = ("bucket", "prefix", "glob", "aws_conn_id", "db_conn_id")
    ui_color = "#dbe7ff"

    def __init__(
        self,
        *,
        bucket: str,
        prefix: str = "",
        suffixes: Sequence[str] | None = DEFAULT_SUFFIXES,
        glob: str | None = None,
        minimum_age: timedelta = timedelta(0),
        batch_size: int = 16,
        max_documents: int = 1024,
        with_version_ids: bool = False,
        retry_failed_after: timedelta = timedelta(hours=1),
        deepseek_ocr_conn_id: str | None = None,
        prompt: str | None = None,
        resolution: str | None = None,
        retry_with: str | Sequence[str] | None = None,
        text_layer: str | None = None,
        min_score: float = 0.5,
        pages: str | None = None,
        dpi: int = DEFAULT_DPI,
        aws_conn_id: str | None = "aws_default",
        db_conn_id: str = DEFAULT_DB_CONN_ID,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bucket = bucket
        self.prefix = prefix
        self.suffixes = suffixes
        self.glob = glob
        self.minimum_age = minimum_age
        self.batch_size = batch_size
        self.max_documents = max_documents
        self.with_version_ids = with_version_ids
        self.retry_failed_after = retry_failed_after
        self.deepseek_ocr_conn_id = deepseek_ocr_conn_id
        self.prompt = prompt
        self.resolution = resolution
        self.retry_with = retry_with
        self.text_layer = text_layer
        self.min_score = min_score
        self.pages = pages
        self.dpi = dpi
        self.aws_conn_id = aws_conn_id
        self.db_conn_id = db_conn_id
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Wait in this process or, if ``deferrable``, in the triggerer.

        :return: batches of documents.
        :raises AirflowFailException: a setting is wrong.
        :raises AirflowException: bucket or database are out of reach.
        """
        if not self.deferrable:
            return super().execute(context)
        with airflow_errors():
            search = self._search()
            batches = search.find()
        if batches:
            return batches
        self.defer(
            trigger=S3NewDocumentTrigger(**search.as_kwargs(), poke_interval=self.poke_interval),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )
        return None  # never reached: defer() raises

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        with airflow_errors():
            batches = self._search().find()
        self.log.info("%d new documents in %d batches", sum(map(len, batches)), len(batches))
        return PokeReturnValue(is_done=bool(batches), xcom_value=batches)

    def execute_complete(self, context: Context, event: dict[str, Any] | None) -> Any:
        """Take the trigger's answer.

        :return: batches of documents.
        :raises AirflowException: the trigger met an error that a retry may mend.
        :raises AirflowFailException: a setting is wrong, or the event is none of ours.
        """
        status = (event or {}).get("status")
        if event is not None and status == "success":
            return event["documents"]
        if event is not None and status == "error":
            kind = AirflowException if event.get("retryable") else AirflowFailException
            raise kind(event.get("message", "The trigger failed without a message."))
        raise AirflowFailException(f"The trigger answered {event!r}, which is no answer of ours.")

    def _search(self) -> NewDocuments:
        limit = conf.getint("core", "max_map_length", fallback=1024)
        if math.ceil(self.max_documents / self.batch_size) > limit:
            raise AirflowFailException(
                f"max_documents={self.max_documents} in batches of {self.batch_size} are more than "
                f"[core] max_map_length={limit} mapped tasks; raise batch_size or lower max_documents."
            )
        return NewDocuments(
            bucket=self.bucket,
            prefix=self.prefix,
            suffixes=None if self.suffixes is None else list(self.suffixes),
            glob=self.glob,
            minimum_age_s=self.minimum_age.total_seconds(),
            with_version_ids=self.with_version_ids,
            config_key=self._config_key(),
            batch_size=self.batch_size,
            max_documents=self.max_documents,
            retry_failed_after_s=self.retry_failed_after.total_seconds(),
            aws_conn_id=self.aws_conn_id,
            db_conn_id=self.db_conn_id,
        )

    def _config_key(self) -> str | None:
        if self.deepseek_ocr_conn_id is None:
            return None
        settings = DeepSeekOCRHook(self.deepseek_ocr_conn_id).settings
        return settings.config(
            prompt=self.prompt,
            resolution=self.resolution,
            pages=self.pages,
            dpi=self.dpi,
            retry_with=self.retry_with,
            text_layer=self.text_layer,
            min_score=self.min_score,
        ).key

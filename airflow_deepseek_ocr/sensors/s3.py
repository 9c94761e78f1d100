"""The sensor for new documents in S3."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_deepseek_ocr.airflow_support.connections import (
    DEFAULT_AWS_CONN_ID,
    DEFAULT_DB_CONN_ID,
)
from airflow_deepseek_ocr.airflow_support.error_mapping import airflow_errors
from airflow_deepseek_ocr.airflow_support.new_documents import (
    ANY_CONFIGURATION,
    CONNECTIONS,
    NewDocuments,
    count_documents,
)
from airflow_deepseek_ocr.airflow_support.task.task_log import first_and_last, less_noise
from airflow_deepseek_ocr.airflow_support.task_metrics import send_found
from airflow_deepseek_ocr.airflow_support.templates import check_literals, check_values
from airflow_deepseek_ocr.connection import values
from airflow_deepseek_ocr.connection.options import DiscoveryOptions, OcrOptions
from airflow_deepseek_ocr.counted import counted, shortened
from airflow_deepseek_ocr.store.results_store import State
from airflow_deepseek_ocr.triggers.s3 import S3NewDocumentTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: How the arguments are converted that are neither options nor connections.
_VALUES: dict[str, values.Convert] = {
    "deferrable": values.boolean,
    "manual_timeout": values.optional(values.duration),
}


class S3NewDocumentSensor(BaseSensorOperator):
    """Wait until a bucket holds documents that have no row in the results database.

    Returns batches, each a list of ``{"uri", "version", "version_id", "etag", "size",
    "last_modified"}``. If they have more than 1 MiB, they are stored as a list in the results database, and
    each batch is ``{"document_list", "first", "count"}``, which the operator takes too. Map an operator over
    them with ``expand(documents=sensor.output)``.

    The parameters ``bucket`` to ``retry_failed_after`` are those of
    :class:`~airflow_deepseek_ocr.connection.options.DiscoveryOptions`. The parameters
    ``prompt`` to ``min_score`` are those of :class:`~airflow_deepseek_ocr.connection.options.OcrOptions` and
    must be the operator's. All parameters are templated; text that a template rendered is converted to the
    parameter's type, and fails the task if it cannot be.

    :param deepseek_ocr_conn_id: the operator's model connection. With it, a document is new if it has
        no row with the processing configuration of that connection and of ``prompt`` to ``min_score``;
        None counts rows of any configuration, and warns.
    :param aws_conn_id: connection to S3; None takes the worker's own credentials.
    :param db_conn_id: connection to the results database.
    :param db_schema: schema of the tables; None takes the one of Airflow's configuration, or else the
        connection's own.
    :param db_table_prefix: beginning of the tables' names; None takes the one of Airflow's configuration.
    :param deferrable: wait in the triggerer instead of in a worker slot.
    :param manual_timeout: the ``timeout`` of a run that was triggered by hand (in the UI, by the API or the
        command line), if it is shorter; 0 searches once. With ``soft_fail`` the run is skipped then. None
        waits as long as a scheduled run. A timedelta, or seconds.
    :raises AirflowFailException: an option has an invalid value; templated ones are checked when the
        task runs.
    """

    template_fields: Sequence[str] = (
        *(each.name for each in fields(DiscoveryOptions)),
        *(each.name for each in fields(OcrOptions)),
        *CONNECTIONS,
        *_VALUES,
    )
    ui_color = "#dbe7ff"
    timeout: float

    def __init__(
        self,
        *,
        bucket: str,
        prefix: str = DiscoveryOptions.prefix,
        suffixes: str | Sequence[str] | None = DiscoveryOptions.suffixes,
        glob: str | None = DiscoveryOptions.glob,
        minimum_age: timedelta | float = DiscoveryOptions.minimum_age,
        with_version_ids: bool = DiscoveryOptions.with_version_ids,
        requester_pays: bool = DiscoveryOptions.requester_pays,
        batch_size: int = DiscoveryOptions.batch_size,
        max_documents: int = DiscoveryOptions.max_documents,
        retry_failed_after: timedelta | float = DiscoveryOptions.retry_failed_after,
        deepseek_ocr_conn_id: str | None = None,
        prompt: str | None = OcrOptions.prompt,
        resolution: str | None = OcrOptions.resolution,
        retry_with: str | Sequence[str] | None = OcrOptions.retry_with,
        text_layer: str | None = OcrOptions.text_layer,
        figures: str | None = OcrOptions.figures,
        pages: str | None = OcrOptions.pages,
        dpi: int = OcrOptions.dpi,
        min_score: float = OcrOptions.min_score,
        aws_conn_id: str | None = DEFAULT_AWS_CONN_ID,
        db_conn_id: str = DEFAULT_DB_CONN_ID,
        db_schema: str | None = None,
        db_table_prefix: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        manual_timeout: timedelta | float | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep each argument as the attribute of its name, where Airflow renders templates."""
        super().__init__(**kwargs)
        self.bucket = bucket
        self.prefix = prefix
        self.suffixes = suffixes
        self.glob = glob
        self.minimum_age = minimum_age
        self.with_version_ids = with_version_ids
        self.requester_pays = requester_pays
        self.batch_size = batch_size
        self.max_documents = max_documents
        self.retry_failed_after = retry_failed_after
        self.deepseek_ocr_conn_id = deepseek_ocr_conn_id
        self.prompt = prompt
        self.resolution = resolution
        self.retry_with = retry_with
        self.text_layer = text_layer
        self.figures = figures
        self.pages = pages
        self.dpi = dpi
        self.min_score = min_score
        self.aws_conn_id = aws_conn_id
        self.db_conn_id = db_conn_id
        self.db_schema = db_schema
        self.db_table_prefix = db_table_prefix
        self.deferrable = deferrable
        self.manual_timeout = manual_timeout
        check_literals(DiscoveryOptions, self)
        check_literals(OcrOptions, self)
        check_values(CONNECTIONS | _VALUES, self)

    def execute(self, context: Context) -> Any:
        """Wait in this process or, if ``deferrable``, in the triggerer.

        :return: batches of documents.
        :raises AirflowFailException: a setting is invalid.
        :raises AirflowException: bucket or database are unreachable.
        """
        with airflow_errors():
            deferrable = values.boolean("deferrable", self.deferrable)
            self.timeout = self._timeout(context)
            if self._search().deepseek_ocr_conn_id is None:
                self.log.warning(ANY_CONFIGURATION)
        if not deferrable:
            return super().execute(context)
        if batches := self._find():
            return batches
        if not self.timeout:
            kind = AirflowSkipException if self.soft_fail else AirflowSensorTimeout
            raise kind("There are no new documents, and this run does not wait for them.")
        self.log.info(
            "Waiting for up to %s in the triggerer, with a search every %g s.",
            timedelta(seconds=self.timeout),
            self.poke_interval,
        )
        self.defer(
            trigger=S3NewDocumentTrigger(
                poke_interval=self.poke_interval, **self._search().as_kwargs()
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )
        return None  # never reached: defer() raises

    def poke(self, context: Context) -> PokeReturnValue:
        """Search the bucket once.

        :raises AirflowFailException: a setting is invalid.
        :raises AirflowException: bucket or database are unreachable.
        """
        batches = self._find()
        return PokeReturnValue(is_done=bool(batches), xcom_value=batches)

    def execute_complete(self, context: Context, event: dict[str, Any] | None) -> Any:
        """Return the documents of the trigger's event.

        :return: batches of documents.
        :raises AirflowException: the trigger failed with an error that a retry may resolve.
        :raises AirflowFailException: a setting is invalid, or the event is not the trigger's.
        """
        status = (event or {}).get("status")
        if event is not None and status == "success":
            self._count(event["documents"])
            return event["documents"]
        if event is not None and status == "error":
            kind = AirflowException if event.get("retryable") else AirflowFailException
            raise kind(event.get("message", "The trigger failed without a message."))
        raise AirflowFailException(
            f"The trigger sent the unknown event {shortened(repr(event))}. Do triggerer and worker run the "
            "same version of airflow-deepseek-ocr?"
        )

    def _timeout(self, context: Context) -> float:
        """Return the seconds that this run waits, which may be fewer if it was triggered by hand."""
        limit = _VALUES["manual_timeout"]("manual_timeout", self.manual_timeout)
        run_type = getattr(context.get("dag_run"), "run_type", None)
        timeout: float = self.timeout
        return (
            min(timeout, limit.total_seconds())
            if limit is not None and run_type == "manual"
            else timeout
        )

    def _find(self) -> list[Any]:
        """Search the bucket once, and log the outcome."""
        seen: Counter[State] = Counter()
        with airflow_errors(), less_noise():
            search = self._search()
            batches = search.find(seen=seen)
        if batches:
            documents = counted(count_documents(batches), "new document")
            number = counted(len(batches), "batch", "batches")
            self.log.info("%s in %s%s.", documents, number, first_and_last(batches))
            self._count(batches)
        else:
            self.log.info("%s", search.nothing_new(seen))
        return batches

    def _count(self, batches: list[Any]) -> None:
        send_found(count_documents(batches), len(batches), self.dag_id, self.task_id)

    def _search(self) -> NewDocuments:
        search = NewDocuments.of(self)
        options = search.discovery
        limit = conf.getint("core", "max_map_length", fallback=1024)
        if math.ceil(options.max_documents / options.batch_size) > limit:
            raise AirflowFailException(
                f"max_documents={options.max_documents} in batches of {options.batch_size} are more than "
                f"[core] max_map_length={limit} mapped tasks; raise batch_size or lower max_documents."
            )
        return search

"""Triggers that wait for new documents in S3 without a worker slot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_deepseek_ocr.airflow_support.connections import (
    DEFAULT_AWS_CONN_ID,
    DEFAULT_DB_CONN_ID,
)
from airflow_deepseek_ocr.airflow_support.error_mapping import described
from airflow_deepseek_ocr.airflow_support.new_documents import ANY_CONFIGURATION, NewDocuments
from airflow_deepseek_ocr.connection.options import (
    DiscoveryOptions,
    OcrOptions,
    positive_seconds,
    seconds,
)
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.triggers.background_search import BackgroundSearch

#: Most intervals between two polls: the pause doubles with each poll that fails, so that an outage is not
#: made worse, and new documents are found soon after it.
_LONGEST_PAUSE = 8


class S3NewDocumentTrigger(BaseTrigger):
    """Fires once, when there are new documents.

    The event is ``{"status": "success", "documents": [batch, ...]}``, with batches as the sensor returns
    them, or ``{"status": "error", "message", "retryable"}``.

    :param poke_interval: seconds between two polls.
    :param search: the arguments of
        :meth:`~airflow_deepseek_ocr.airflow_support.new_documents.NewDocuments.from_kwargs`.
    :raises ConfigurationError: an option has an invalid value.
    """

    def __init__(self, *, poke_interval: float, **search: Any) -> None:
        super().__init__()
        self.poke_interval = positive_seconds("poke_interval", poke_interval)
        self.search = NewDocuments.from_kwargs(**search)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        arguments = self.search.as_kwargs() | {"poke_interval": self.poke_interval}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there are new documents or an error, and yield one event."""
        search = BackgroundSearch(self.search)
        while True:
            try:
                documents = await search.find()
            except Exception as error:
                # An error that is not this package's, such as Airflow's API server being away, may pass.
                retryable = isinstance(error, UnavailableError) or not isinstance(
                    error, DeepSeekOCRError
                )
                yield TriggerEvent(
                    {"status": "error", "message": described(error), "retryable": retryable}
                )
                return
            if documents:
                yield TriggerEvent({"status": "success", "documents": documents})
                return
            await asyncio.sleep(self.poke_interval)


class S3NewDocumentEventTrigger(BaseEventTrigger):
    """Fires whenever there are new documents, for an asset's watcher.

    The event's payload is ``{"documents": [batch, ...]}``, with batches as the sensor returns them. Each
    document is emitted at least once: again after a restart of the triggerer, again when the task that was
    processing it died, and again if it has no row after ``redeliver_after``. The document's row makes
    processing exactly-once.

    The parameters ``bucket`` to ``retry_failed_after`` are those of
    :class:`~airflow_deepseek_ocr.connection.options.DiscoveryOptions`. The parameters ``prompt`` to
    ``min_score`` are those of :class:`~airflow_deepseek_ocr.connection.options.OcrOptions` and must be the
    operator's.

    :param deepseek_ocr_conn_id: the operator's model connection. With it, a document is new if it has
        no row with the processing configuration of that connection and of ``prompt`` to ``min_score``;
        None counts rows of any configuration, and warns.
    :param aws_conn_id: connection to S3; None takes the triggerer's own credentials.
    :param db_conn_id: connection to the results database.
    :param db_schema: schema of the tables; None takes the one of Airflow's configuration, or else the
        connection's own.
    :param db_table_prefix: beginning of the tables' names; None takes the one of Airflow's configuration.
    :param poke_interval: time between two polls; it grows up to eightfold while polls fail. A timedelta,
        or seconds.
    :param redeliver_after: time after which a document without a row is emitted again. A timedelta, or
        seconds.
    :raises ConfigurationError: an option has an invalid value.
    """

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
        poke_interval: timedelta | float = 60.0,
        redeliver_after: timedelta | float = timedelta(hours=6),
    ) -> None:
        """Check the arguments; Airflow passes those that :meth:`serialize` returned."""
        super().__init__()
        self.poke_interval = positive_seconds("poke_interval", poke_interval)
        self.redeliver_after_s = seconds("redeliver_after", redeliver_after)
        self.search = NewDocuments(
            discovery=DiscoveryOptions(
                bucket=bucket,
                prefix=prefix,
                suffixes=suffixes,
                glob=glob,
                minimum_age=minimum_age,
                with_version_ids=with_version_ids,
                requester_pays=requester_pays,
                batch_size=batch_size,
                max_documents=max_documents,
                retry_failed_after=retry_failed_after,
            ),
            ocr=OcrOptions(
                prompt=prompt,
                resolution=resolution,
                retry_with=retry_with,
                text_layer=text_layer,
                figures=figures,
                pages=pages,
                dpi=dpi,
                min_score=min_score,
            ),
            deepseek_ocr_conn_id=deepseek_ocr_conn_id,
            aws_conn_id=aws_conn_id,
            db_conn_id=db_conn_id,
            db_schema=db_schema,
            db_table_prefix=db_table_prefix,
        )
        self._emitted_at: dict[str, float] = {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, durations in seconds."""
        arguments = self.search.as_kwargs() | {
            "poke_interval": self.poke_interval,
            "redeliver_after": self.redeliver_after_s,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for ever; an error is logged, and the next poll tries again."""
        if self.search.deepseek_ocr_conn_id is None:
            self.log.warning(ANY_CONFIGURATION)
        search = BackgroundSearch(self.search)
        failures = 0
        while True:
            batches: list[Any] = []
            found: list[str] = []
            pause = self.poke_interval
            try:
                batches = await search.find(self._emitted(), found)
                failures = 0
            # If it ended, Airflow would start it again at once, without what it has emitted.
            except Exception as error:
                pause *= min(2 ** min(failures, 10), _LONGEST_PAUSE)
                failures += 1
                self.log.warning(
                    "Polling s3://%s/%s for new documents failed, attempt %d in a row; "
                    "the next poll is in %.0f s: %s",
                    self.search.discovery.bucket,
                    self.search.discovery.prefix,
                    failures,
                    pause,
                    described(error),
                )
            if batches:
                yield TriggerEvent({"documents": batches})
            # Airflow stores the event during this pause. A document of an event that is lost before must
            # be emitted again, so it is recorded only afterwards.
            await asyncio.sleep(pause)
            if batches:
                self._emitted_at |= dict.fromkeys(found, time.monotonic())

    def _emitted(self) -> dict[str, float]:
        """Return the seconds since each document was emitted, by version key."""
        now = time.monotonic()
        oldest = now - self.redeliver_after_s
        self._emitted_at = {key: when for key, when in self._emitted_at.items() if when > oldest}
        return {key: now - when for key, when in self._emitted_at.items()}

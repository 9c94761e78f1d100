"""Waiting for new documents in S3 without a worker slot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_deepseek_ocr.airflow_support.new_documents import NewDocuments
from airflow_deepseek_ocr.airflow_support.results_database import DEFAULT_DB_CONN_ID
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.sources.s3 import DEFAULT_SUFFIXES


class S3NewDocumentTrigger(BaseTrigger):
    """Fires once, when there are new documents.

    The event is ``{"status": "success", "documents": [batch, ...]}``, or ``{"status": "error",
    "message", "retryable"}``.

    :param poke_interval: seconds between two looks.

    The other parameters are :class:`~airflow_deepseek_ocr.airflow_support.new_documents.NewDocuments`'.
    """

    def __init__(self, *, poke_interval: float, **search: Any) -> None:
        super().__init__()
        self.poke_interval = poke_interval
        self.search = NewDocuments(**search)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        arguments = self.search.as_kwargs() | {"poke_interval": self.poke_interval}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something to hand on."""
        while True:
            try:
                documents = await sync_to_async(self.search.find)()
            except DeepSeekOCRError as error:
                retryable = isinstance(error, UnavailableError)
                yield TriggerEvent(
                    {"status": "error", "message": str(error), "retryable": retryable}
                )
                return
            if documents:
                yield TriggerEvent({"status": "success", "documents": documents})
                return
            await asyncio.sleep(self.poke_interval)


class S3NewDocumentEventTrigger(BaseEventTrigger):
    """Fires whenever there are new documents, for an asset's watcher.

    The event's payload is ``{"documents": [batch, ...]}``. Each document is handed on at least once:
    again after a restart of the triggerer, again when the task that read it died, and again if it
    still has no row after ``redeliver_after_s``; its row is what makes it once.

    :param bucket: the bucket.
    :param prefix: keys start with this.
    :param suffixes: keys end with one of these, in any case; None takes all.
    :param glob: keys match this pattern; None takes all.
    :param minimum_age_s: seconds since the object was last modified.
    :param with_version_ids: identify versions by version ids, in a bucket that keeps versions.
    :param config_key: documents read by another recipe count as new; None counts any.
    :param batch_size: documents in a batch.
    :param max_documents: documents in an event.
    :param retry_failed_after_s: seconds after which a failure that was not the document's own
        makes it new again.
    :param aws_conn_id: connection to S3.
    :param db_conn_id: connection to the results database.
    :param poke_interval: seconds between two looks.
    :param redeliver_after_s: seconds after which a document without a row is handed on again.
    """

    def __init__(
        self,
        *,
        bucket: str,
        prefix: str = "",
        suffixes: list[str] | None = list(DEFAULT_SUFFIXES),  # noqa: B006 - copied, never changed
        glob: str | None = None,
        minimum_age_s: float = 0.0,
        with_version_ids: bool = False,
        config_key: str | None = None,
        batch_size: int = 16,
        max_documents: int = 1024,
        retry_failed_after_s: float = 3600.0,
        aws_conn_id: str | None = "aws_default",
        db_conn_id: str = DEFAULT_DB_CONN_ID,
        poke_interval: float = 60.0,
        redeliver_after_s: float = 6 * 3600.0,
    ) -> None:
        super().__init__()
        self.poke_interval, self.redeliver_after_s = poke_interval, redeliver_after_s
        self.search = NewDocuments(
            bucket=bucket,
            prefix=prefix,
            suffixes=None if suffixes is None else list(suffixes),
            glob=glob,
            minimum_age_s=minimum_age_s,
            with_version_ids=with_version_ids,
            config_key=config_key,
            batch_size=batch_size,
            max_documents=max_documents,
            retry_failed_after_s=retry_failed_after_s,
            aws_conn_id=aws_conn_id,
            db_conn_id=db_conn_id,
        )
        self._handed_on: dict[str, float] = {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        arguments = self.search.as_kwargs() | {
            "poke_interval": self.poke_interval,
            "redeliver_after_s": self.redeliver_after_s,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever; an error is logged and the next look tries again."""
        while True:
            try:
                batches = await sync_to_async(self.search.find)(self._recently_handed_on())
            except DeepSeekOCRError as error:
                self.log.warning("Looking for new documents failed; trying again: %s", error)
                batches = []
            if batches:
                yield TriggerEvent({"documents": batches})
            # Remembered only after the pause in which Airflow stores the event: a document of an
            # event that is lost before must be handed on again.
            await asyncio.sleep(self.poke_interval)
            now = time.monotonic()
            for batch in batches:
                for document in batch:
                    self._handed_on[DocumentRef.of(document).version_key] = now

    def _recently_handed_on(self) -> dict[str, float]:
        """Seconds since each document was handed on."""
        now = time.monotonic()
        oldest = now - self.redeliver_after_s
        self._handed_on = {key: when for key, when in self._handed_on.items() if when > oldest}
        return {key: now - when for key, when in self._handed_on.items()}

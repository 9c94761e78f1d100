"""The trigger that reads events of S3 from a queue of Amazon SQS."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_deepseek_ocr.airflow_support.connections import DEFAULT_AWS_CONN_ID
from airflow_deepseek_ocr.airflow_support.error_mapping import described
from airflow_deepseek_ocr.connection import values
from airflow_deepseek_ocr.connection.queue_options import QueueOptions
from airflow_deepseek_ocr.counted import counted
from airflow_deepseek_ocr.sources.sqs import AT_ONCE, Message
from airflow_deepseek_ocr.triggers.background_queue import BackgroundQueue
from airflow_deepseek_ocr.triggers.message_batch import MessageBatch

#: Seconds that a request waits for messages. SQS allows 20; a triggerer that is stopped waits for the
#: request, and ends it by force after ten seconds (``escalation_delay`` of Airflow's triggerer).
_WAIT_S = 10
#: Seconds before a request is repeated that failed: they double with each failure, up to the longest.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 300.0


@dataclass(frozen=True)
class _HandedOver:
    """Messages whose events this process has given to Airflow.

    :param invisible_until: until when no other reader receives them, on the monotonic clock.
    :param receipts: their handles.
    :param queue: their queue. A new client blocks the event loop for 0.2 s while botocore loads its models.
    """

    invisible_until: float
    receipts: list[str]
    queue: BackgroundQueue


#: By trigger.
_handed_over: dict[tuple[Any, ...], _HandedOver] = {}


class SqsNewDocumentEventTrigger(BaseEventTrigger):
    """Fires when a queue has events of S3 that name new documents, for an asset's watcher.

    The event's payload is ``{"documents": [batch, ...]}``, as that of
    :class:`~airflow_deepseek_ocr.triggers.s3.S3NewDocumentEventTrigger`. Messages are deleted after Airflow
    has stored the event that names their documents. A message that arrives twice, or is received again
    because the triggerer died, names documents again; their rows make processing exactly-once.

    The queue receives notifications of S3, directly or through SNS, or events of EventBridge. Deletions, test
    events and keys that the parameters exclude are deleted without an event. Messages of other buckets, and
    those that are no event of S3, stay in the queue until its redrive policy moves them.

    The parameters ``queue_url`` to ``visibility_timeout`` are those of
    :class:`~airflow_deepseek_ocr.connection.queue_options.QueueOptions`.

    :param aws_conn_id: connection to SQS; None takes the triggerer's own credentials.
    :raises ConfigurationError: an option has an invalid value.
    """

    def __init__(
        self,
        *,
        queue_url: str,
        bucket: str | Sequence[str],
        prefix: str = QueueOptions.prefix,
        suffixes: str | Sequence[str] | None = QueueOptions.suffixes,
        glob: str | None = QueueOptions.glob,
        with_version_ids: bool = QueueOptions.with_version_ids,
        batch_size: int = QueueOptions.batch_size,
        max_documents: int = QueueOptions.max_documents,
        collect_for: timedelta | float = QueueOptions.collect_for,
        visibility_timeout: timedelta | float = QueueOptions.visibility_timeout,
        aws_conn_id: str | None = DEFAULT_AWS_CONN_ID,
    ) -> None:
        """Check the arguments; Airflow passes those that :meth:`serialize` returned."""
        super().__init__()
        self.aws_conn_id = values.optional(values.text)("aws_conn_id", aws_conn_id)
        self.options = QueueOptions(
            queue_url=queue_url,
            bucket=bucket,
            prefix=prefix,
            suffixes=suffixes,
            glob=glob,
            with_version_ids=with_version_ids,
            batch_size=batch_size,
            max_documents=max_documents,
            collect_for=collect_for,
            visibility_timeout=visibility_timeout,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, durations in seconds."""
        arguments = self.options.as_kwargs() | {"aws_conn_id": self.aws_conn_id}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for documents, yield their events and end; errors are logged, and the wait continues.

        Airflow starts a watcher that has ended again, and not before it has stored the watcher's events: the
        start is what proves that. It is then that their messages are deleted.
        """
        stored = self._stored()
        queue = (
            stored.queue if stored else BackgroundQueue(self.aws_conn_id, self.options.queue_url)
        )
        is_kept = False
        try:
            if stored:
                await self._delete(queue, stored.receipts)
            while True:
                batch, invisible_until = await self._collect(queue)
                if report := batch.report():
                    self.log.warning(
                        "%s They stay in %s, and come again until its redrive policy moves them.",
                        report,
                        self.options.queue_url,
                    )
                if batch:
                    for payload in batch.payloads():
                        yield TriggerEvent(payload)
                    # Only now has the triggerer taken the last event.
                    entry = _HandedOver(invisible_until, batch.receipts, queue)
                    _handed_over[self._key()], is_kept = entry, True
                    return
                await self._delete(queue, batch.receipts)
        finally:
            if not is_kept:
                queue.close()

    def _key(self) -> tuple[Any, ...]:
        """Return what identifies this trigger among those that this process starts again."""
        return (self.trigger_id, repr(self.serialize()))

    def _stored(self) -> _HandedOver | None:
        """Return the messages of the events that this trigger handed over before it was started again."""
        now = time.monotonic()
        for key, entry in list(_handed_over.items()):
            # They are visible again, and perhaps in another triggerer's hands.
            if entry.invisible_until <= now:
                del _handed_over[key]
                entry.queue.close()
        return _handed_over.pop(self._key(), None)

    async def _delete(self, queue: BackgroundQueue, receipts: list[str]) -> None:
        """Delete messages; those that cannot be deleted come again, which costs a run and no document."""
        try:
            kept = await queue.delete(receipts)
        except Exception as error:
            self.log.warning(
                "%s of %s could not be deleted, and will come again: %s",
                counted(len(receipts), "message"),
                self.options.queue_url,
                described(error),
            )
        else:
            if kept:
                self.log.warning(
                    "SQS has not deleted %s of %s; they will come again.",
                    counted(kept, "message"),
                    self.options.queue_url,
                )

    async def _collect(self, queue: BackgroundQueue) -> tuple[MessageBatch, float]:
        """Return the messages of one event, and until when they are invisible.

        The event has those that come within ``collect_for`` after the first one.
        """
        options, batch = self.options, MessageBatch(self.options)
        messages = await self._first(queue)
        now = time.monotonic()
        until, invisible_until = now + options.collect_for_s, now + options.visibility_timeout_s
        while messages:
            # A message may have a MiB of JSON.
            await asyncio.to_thread(batch.add, messages)
            left_s = until - time.monotonic()
            # One more answer would not fit, and its rest would be a small event, with a separate run.
            if len(batch) + AT_ONCE > options.max_documents or left_s <= 0:
                break
            try:
                wait_s = min(math.floor(left_s), _WAIT_S)
                messages = await queue.receive(wait_s, options.visibility_timeout_s)
            except Exception:
                break  # the next wait meets the cause again, and logs it
        return batch, invisible_until

    async def _first(self, queue: BackgroundQueue) -> list[Message]:
        """Wait for messages for as long as it takes, with pauses that grow while the queue cannot be read."""
        failures = 0
        while True:
            try:
                if messages := await queue.receive(_WAIT_S, self.options.visibility_timeout_s):
                    return messages
                failures = 0
            # If it ended without an event, Airflow would start it again at once.
            except Exception as error:
                pause = min(_FIRST_PAUSE_S * 2 ** min(failures, 10), _LONGEST_PAUSE_S)
                failures += 1
                self.log.warning(
                    "Attempt %d in a row to receive messages of %s failed; the next one is in %.0f s: %s",
                    failures,
                    self.options.queue_url,
                    pause,
                    described(error),
                )
                await asyncio.sleep(pause)

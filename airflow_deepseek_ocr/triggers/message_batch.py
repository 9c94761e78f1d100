"""Messages of a queue sorted into documents, messages without any, and messages that are left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from airflow_deepseek_ocr.connection.queue_options import QueueOptions
from airflow_deepseek_ocr.counted import counted, listed
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.discovery import first_batches
from airflow_deepseek_ocr.sources.s3_events import QueueMessageError, parse_message
from airflow_deepseek_ocr.sources.sqs import Message


class MessageBatch:
    """The messages of one event of Airflow.

    A message is taken whole or left whole. It is taken if it was understood, and all of its events are of the
    buckets in the options; events of deletions and of other keys than those in the options are taken without
    a document.

    :param options: which events name documents.
    """

    def __init__(self, options: QueueOptions) -> None:
        self._options, self._listings = options, options.listings
        # A document may be named by several messages.
        self._documents: dict[str, DocumentRef] = {}
        self._left: dict[str, str] = {}
        self.receipts: list[str] = []

    def __len__(self) -> int:
        return len(self._documents)

    def add(self, messages: Iterable[Message]) -> None:
        """Sort messages."""
        for message in messages:
            try:
                events = parse_message(message.body)
            except QueueMessageError as error:
                self._left[message.id] = str(error)
                continue
            foreign = next((each for each in events if each.bucket not in self._listings), None)
            if foreign is not None:
                # Another reader's, or someone's who may write to the queue.
                self._left[message.id] = f"bucket {foreign.bucket!r}"
                continue
            self.receipts.append(message.receipt)
            for event in events:
                ref = event.reference(with_version_ids=self._options.with_version_ids)
                if event.is_readable and self._listings[event.bucket].contains(ref.uri):
                    self._documents[ref.version_key] = ref

    def payloads(self) -> Iterator[dict[str, Any]]:
        """Yield the payloads of events, each within Airflow's bounds: ``{"documents": [batch, ...]}``."""
        rest, options = list(self._documents.values()), self._options
        while batches := first_batches(rest, options.max_documents, options.batch_size):
            yield {"documents": [[ref.as_dict() for ref in batch] for batch in batches]}
            rest = rest[sum(map(len, batches)) :]

    def report(self) -> str | None:
        """Return which messages stay in the queue, and why, for the log; None if none does."""
        if not self._left:
            return None
        return (
            f"{counted(len(self._left), 'message')} without events of S3 for this trigger: "
            f"{listed(self._left)}."
        )

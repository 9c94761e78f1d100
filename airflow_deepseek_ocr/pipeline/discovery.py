"""Which documents in a bucket are to be read: the listing, less what the ledger knows, and what tasks
that died left behind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.sources.s3 import Listing
from airflow_deepseek_ocr.store.results_store import Store

#: Listed documents that are looked up in the database together: one page of an S3 listing.
_CHUNK = 1000


@dataclass(frozen=True)
class Discovery:
    """What counts as new, and how much of it is handed on at once.

    :param listing: where to look.
    :param config_key: a document read by another recipe counts as new; None counts rows of any.
    :param batch_size: documents in a batch.
    :param max_documents: documents handed on at once; the others wait for the next look.
    :param retry_failed_after: a document whose reading failed for a reason outside it (access
        denied, model missing) counts as new again after this time.
    """

    listing: Listing
    config_key: str | None = None
    batch_size: int = 16
    max_documents: int = 1024
    retry_failed_after: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.max_documents < 1:
            raise ConfigurationError(
                ErrorCode.DISCOVERY_OPTIONS, "batch_size and max_documents must be at least 1."
            )

    def find(
        self, client: Any, store: Store, handed_on: Mapping[str, float] | None = None
    ) -> list[list[DocumentRef]]:
        """Batches of documents to read; empty if there are none.

        What tasks that died left behind comes first, also versions that are not listed any more:
        their rows must not stay open for ever. Then what is new, in the listing's order.

        :param client: a boto3 S3 client.
        :param store: the results database, with its tables in place.
        :param handed_on: how many seconds ago documents were handed on already, by version key: they
            are passed over, unless a task died over them since.
        :raises UnavailableError: bucket or database are out of reach.
        """
        due = islice(self._due(client, store, handed_on or {}), self.max_documents)
        return list(_chunks(due, self.batch_size))

    def _due(
        self, client: Any, store: Store, handed_on: Mapping[str, float]
    ) -> Iterator[DocumentRef]:
        def is_due(ref: DocumentRef, due_for: float) -> bool:
            return ref.version_key not in handed_on or handed_on[ref.version_key] > due_for

        abandoned = {
            ref.version_key: ref
            for ref, due_for in store.abandoned(self.config_key)
            if self.listing.contains(ref.uri) and is_due(ref, due_for)
        }
        yield from abandoned.values()
        for chunk in _chunks(self.listing.documents(client), _CHUNK):
            known = store.look_up(chunk, self.config_key, self.retry_failed_after)
            for ref in chunk:
                key = ref.version_key
                # What has no row was due for ever: once it is handed on, its turn will come.
                due_for = known.get(key, math.inf)
                if key not in abandoned and due_for is not None and is_due(ref, due_for):
                    yield ref


def _chunks(items: Iterable[DocumentRef], size: int) -> Iterator[list[DocumentRef]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk

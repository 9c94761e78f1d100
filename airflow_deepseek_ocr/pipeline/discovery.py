"""Which documents in a bucket are new: the listing, less the versions with rows, plus those that tasks
left unfinished when they died."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from airflow_deepseek_ocr.connection.options import DiscoveryOptions, seconds
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.results_store import Store

#: Listed documents per database look-up: one page of an S3 listing.
_CHUNK = 1000


@dataclass(frozen=True)
class Discovery:
    """A search for new documents.

    :param options: which objects count as new documents, and how many are emitted at once.
    :param config_key: rows of this processing configuration count; None counts rows of any.
    """

    options: DiscoveryOptions
    config_key: str | None = None

    def find(
        self, client: Any, store: Store, emitted: Mapping[str, float] | None = None
    ) -> list[list[DocumentRef]]:
        """Return batches of new documents; an empty list if there are none.

        Documents of dead tasks come first, including versions that are not listed any more: their rows
        must not stay unfinished. Versions without a row follow, in the listing's order.

        :param client: a boto3 S3 client.
        :param store: the results database, with its tables in place.
        :param emitted: seconds since documents were emitted, by version key. They are skipped, unless a
            task that was processing them died since.
        :raises UnavailableError: bucket or database are unreachable.
        """
        due = islice(self._due(client, store, emitted or {}), self.options.max_documents)
        return list(_chunks(due, self.options.batch_size))

    def _due(
        self, client: Any, store: Store, emitted: Mapping[str, float]
    ) -> Iterator[DocumentRef]:
        def is_due(ref: DocumentRef, due_for: float) -> bool:
            return ref.version_key not in emitted or emitted[ref.version_key] > due_for

        listing = self.options.listing
        retry_after = timedelta(
            seconds=seconds("retry_failed_after", self.options.retry_failed_after)
        )
        abandoned = {
            ref.version_key: ref
            for ref, due_for in store.abandoned(self.config_key)
            if listing.contains(ref.uri) and is_due(ref, due_for)
        }
        yield from abandoned.values()
        for chunk in _chunks(listing.documents(client), _CHUNK):
            known = store.look_up(chunk, self.config_key, retry_after)
            for ref in chunk:
                key = ref.version_key
                # A version without a row has been due for ever: once emitted, it is skipped.
                due_for = known.get(key, math.inf)
                if key not in abandoned and due_for is not None and is_due(ref, due_for):
                    yield ref


def _chunks(items: Iterable[DocumentRef], size: int) -> Iterator[list[DocumentRef]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk

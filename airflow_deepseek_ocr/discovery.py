"""Which documents in a bucket have not been read: the listing, less what the database knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from airflow_deepseek_ocr.errors import ConfigurationError
from airflow_deepseek_ocr.ocr.identity import DocumentRef
from airflow_deepseek_ocr.sources.s3 import Listing
from airflow_deepseek_ocr.store.store import Store

#: Listed documents that are looked up in the database together: one page of an S3 listing.
_CHUNK = 1000


@dataclass(frozen=True)
class Discovery:
    """What counts as new, and how much of it is handed on at once.

    :param listing: where to look.
    :param recipe_key: a document read by another recipe counts as new; None counts rows of any.
    :param batch_size: documents in a batch.
    :param max_documents: documents handed on at once; the others wait for the next look.
    :param retry_failed_after: a document whose reading failed for a reason outside it (access
        denied, model missing) counts as new again after this time.
    """

    listing: Listing
    recipe_key: str | None = None
    batch_size: int = 16
    max_documents: int = 1024
    retry_failed_after: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.max_documents < 1:
            raise ConfigurationError(
                "discovery", "batch_size and max_documents must be at least 1."
            )

    def find(
        self, client: Any, store: Store, skip: frozenset[str] = frozenset()
    ) -> list[list[DocumentRef]]:
        """Batches of new documents, oldest listing order first; empty if there are none.

        :param client: a boto3 S3 client.
        :param store: the results database, with its tables in place.
        :param skip: version keys that were handed on already.
        :raises UnavailableError: bucket or database are out of reach.
        """
        new = islice(self._new(client, store, skip), self.max_documents)
        return list(_chunks(new, self.batch_size))

    def _new(self, client: Any, store: Store, skip: frozenset[str]) -> Iterator[DocumentRef]:
        for chunk in _chunks(self.listing.documents(client), _CHUNK):
            known = skip | store.known_versions(chunk, self.recipe_key, self.retry_failed_after)
            yield from (ref for ref in chunk if ref.version_key not in known)


def _chunks(items: Iterable[DocumentRef], size: int) -> Iterator[list[DocumentRef]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk

"""Discovery of documents in a bucket: new versions, and versions left unfinished by tasks that died."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, islice
from typing import Any

from airflow_deepseek_ocr.chunks import chunks
from airflow_deepseek_ocr.connection.options import DiscoveryOptions, seconds
from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.lists.document_lists import DocumentLists
from airflow_deepseek_ocr.store.lists.list_slice import ListSlice
from airflow_deepseek_ocr.store.results_store import KnownVersion, State, Store

log = logging.getLogger(__name__)


#: Listed documents per database look-up: one page of an S3 listing.
_CHUNK = 1000
#: Most bytes of the documents that a search returns itself, as JSON. Airflow stores them in its database: as
#: XCom, for a deferred sensor as the trigger's event before, or as the event of an asset. 1,024 documents,
#: the default, with keys of 60 characters have 0.3 MB, and with keys of 1,024 bytes 1.3 MB.
MAX_LIST_BYTES = 1 << 20
_SEPARATOR = len(", ")
#: Most parts of a stored list that a search names. The name of a part has 80 bytes, so that these have less
#: than ``MAX_LIST_BYTES``; the sensor has fewer in any case (``[core] max_map_length``).
_MAX_PARTS = 8192
#: A version without a row: due since before any event, so that once emitted it is left out.
_NEW = KnownVersion(State.DUE, math.inf)


@dataclass(frozen=True)
class Discovery:
    """A search for new documents.

    A version is new if it has no row, if its row was left unfinished by a task that died, if the retry of
    its failure is due, or if it was archived and is restored.

    :param options: which objects count as new documents, and how many are emitted at once.
    :param config_key: rows of this processing configuration count; None counts rows of any.
    """

    options: DiscoveryOptions
    config_key: str | None = None

    def find(
        self,
        client: Any,
        store: Store,
        emitted: Mapping[str, float] | None = None,
        seen: Counter[State] | None = None,
        *,
        lists: DocumentLists | None = None,
        found: list[str] | None = None,
    ) -> Sequence[list[DocumentRef] | ListSlice]:
        """Return batches of new documents; an empty list if there are none.

        If they have more than ``MAX_LIST_BYTES`` as JSON, they are stored as a list, and the batches are
        parts of it, which are larger than the options say if there would be more than 8,192. Without
        ``lists``, or without the right to store one, the batches end there, and the other documents follow at
        a later search.

        Documents of dead tasks come first, including versions that are not listed any more: their rows
        must not stay unfinished. Versions without a row follow, in the listing's order.

        :param client: a boto3 S3 client.
        :param store: the results database, with its tables in place.
        :param emitted: seconds since documents were emitted, by version key. They are skipped, unless a
            task that was processing them died since.
        :param seen: receives the number of listed versions with rows, by state.
        :param lists: stores a list.
        :param found: receives the version keys of the documents.
        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        :raises UnavailableError: ``missing_bucket``, ``access_denied``, ``storage_unavailable``.
        """
        due = self._due(client, store, emitted or {}, Counter() if seen is None else seen)
        remaining = islice(due, self.options.max_documents)
        first, is_all = _first(remaining)
        versions: list[str] = [] if found is None else found
        size = self.options.batch_size
        if not is_all and lists is not None:
            in_list = list[str]()
            whole = self._stored(lists, _noting(chain(first, remaining), in_list))
            if whole is not None:
                versions.extend(in_list)
                return whole.parts(max(size, math.ceil((whole.count or 0) / _MAX_PARTS)))
        fitting = _fitting(first, is_all)
        versions.extend(ref.version_key for ref in fitting)
        return list(chunks(fitting, size))

    def _stored(self, lists: DocumentLists, documents: Iterator[DocumentRef]) -> ListSlice | None:
        """Store a list; return None if the database's user may not."""
        where = f"s3://{self.options.bucket}/{self.options.prefix}"
        try:
            whole = lists.write(documents, where)
        except DatabaseError as error:
            if error.code is not ErrorCode.DATABASE_RIGHTS:
                raise
            log.warning(
                "%s has more new documents than an XCom should hold, and they cannot be stored as a list. "
                "The others follow at a later search. %s",
                where,
                error,
            )
            return None
        log.info(
            "The list of %s new documents in %s is stored in the results database, as %s.",
            f"{whole.count:,}",
            where,
            whole.key,
        )
        return whole

    def _due(
        self, client: Any, store: Store, emitted: Mapping[str, float], seen: Counter[State]
    ) -> Iterator[DocumentRef]:
        def is_due(ref: DocumentRef, due_for_s: float) -> bool:
            return ref.version_key not in emitted or emitted[ref.version_key] > due_for_s

        listing = self.options.listing
        retry_after = timedelta(
            seconds=seconds("retry_failed_after", self.options.retry_failed_after)
        )
        abandoned = {
            ref.version_key: ref
            for ref, due_for_s in store.abandoned(self.config_key, retry_after)
            # Files that are attached to listed documents are in no listing.
            if listing.contains(ref.root.uri) and is_due(ref, due_for_s)
        }
        yield from abandoned.values()
        for chunk in chunks(listing.with_restored(client), _CHUNK):
            known = store.look_up([ref for ref, _ in chunk], self.config_key, retry_after)
            seen.update(version.state for version in known.values())
            for ref, restored in chunk:
                version = known.get(ref.version_key, _NEW)
                if version.archived and restored:
                    version = _NEW
                if (
                    ref.version_key not in abandoned
                    and version.state is State.DUE
                    and is_due(ref, version.due_for_s)
                ):
                    yield ref


def first_batches(
    due: Iterable[DocumentRef], max_documents: int, batch_size: int
) -> list[list[DocumentRef]]:
    """Return the first documents in batches: as many as an XCom or an event can have, and at least one.

    :param due: documents; no more of them are taken than are returned, and one.
    :param max_documents: most documents.
    :param batch_size: documents per batch.
    """
    first = _fitting(*_first(islice(due, max_documents)))
    return list(chunks(first, batch_size))


def _first(due: Iterator[DocumentRef]) -> tuple[list[DocumentRef], bool]:
    """Return the first documents, up to the first one over the limit, and whether these are all."""
    first, size = list[DocumentRef](), 0
    for ref in due:
        first.append(ref)
        size += len(json.dumps(ref.as_dict())) + _SEPARATOR
        if size > MAX_LIST_BYTES:
            return first, False
    return first, True


def _fitting(first: list[DocumentRef], is_all: bool) -> list[DocumentRef]:
    """Return the documents of :func:`_first` that are within the limit, and at least one."""
    return first if is_all or len(first) == 1 else first[:-1]


def _noting(documents: Iterable[DocumentRef], versions: list[str]) -> Iterator[DocumentRef]:
    for ref in documents:
        versions.append(ref.version_key)
        yield ref

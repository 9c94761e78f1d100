"""The search for new documents in threads of this package's own, for the triggers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import sync_to_async

from airflow_deepseek_ocr.airflow_support.new_documents import NewDocuments
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError

#: Searches of one triggerer at the same time. They wait for the network; other triggers' searches queue.
_THREADS = 16
#: Seconds after which a search is given up: a listing of ten million keys, at ten pages of 1,000 keys a
#: second, takes 17 minutes.
LIMIT_S = 1800.0

# asgiref's default is one thread for everything in the triggerer, Airflow's own look-ups of connections
# included: a slow bucket would stop the other triggers.
_threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="new-documents")


class BackgroundSearch:
    """A search for new documents that does not block the event loop.

    :param search: which documents are new.
    :param limit_s: seconds after which a search is given up. Its thread ends when its request does.
    """

    def __init__(self, search: NewDocuments, limit_s: float = LIMIT_S) -> None:
        self._search, self._limit_s = search, limit_s
        self._running = threading.Lock()

    async def find(
        self, emitted: Mapping[str, float] | None = None, found: list[str] | None = None
    ) -> list[Any]:
        """Return batches of new documents; see :meth:`NewDocuments.find`.

        :param emitted: seconds since documents were emitted, by version key.
        :param found: receives the version keys of the documents.
        :raises ConfigurationError: a connection has an invalid value.
        :raises UnavailableError: bucket or database are unreachable; ``storage_unavailable`` if the search
            takes too long.
        """
        find = sync_to_async(self._find, thread_sensitive=False, executor=_threads)
        try:
            async with asyncio.timeout(self._limit_s) as limit:
                batches: list[Any] = await find(emitted, found)
                return batches
        except TimeoutError:
            if not limit.expired():
                raise
            raise self._error(f"has not ended after {self._limit_s:.0f} s") from None

    def _find(self, emitted: Mapping[str, float] | None, found: list[str] | None) -> list[Any]:
        # A search that was given up keeps its thread: another one would take the other triggers' threads.
        if not self._running.acquire(blocking=False):
            raise self._error("that was given up earlier is still waiting for an answer")
        try:
            return self._search.find(emitted, found=found)
        finally:
            self._running.release()

    def _error(self, what: str) -> UnavailableError:
        where = self._search.discovery
        return UnavailableError(
            ErrorCode.STORAGE_UNAVAILABLE,
            f"A search in s3://{where.bucket}/{where.prefix} {what}. Check whether S3 and the results "
            "database answer, or narrow the prefix.",
        )

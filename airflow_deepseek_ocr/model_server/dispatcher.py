"""Pages of all clients in one engine, which takes them from a queue that does not end."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.model_server.admission import PAGE_TOKENS
from airflow_deepseek_ocr.model_server.fair_queue import FairQueue
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest

log = logging.getLogger(__name__)

#: Seconds in which the engine must take its first page request; it compiles layers before.
_START_TIMEOUT_S = 600.0
#: Seconds in which admitted pages must end when the server stops.
_STOP_TIMEOUT_S = 60.0
#: Pages taken ahead of those that are decoded: two groups of the vision tower.
_PREPARED = 16


@dataclass(eq=False)
class _QueuedPage:
    """A page, and the request that waits for its output."""

    request: PageRequest
    client: str
    loop: asyncio.AbstractEventLoop
    output: asyncio.Future[PageOutput]
    cancelled: threading.Event = field(default_factory=threading.Event)

    def resolve(self, output: PageOutput) -> None:
        """Set the output; called from the engine's thread."""

        def set_result() -> None:
            if not self.output.done():
                self.output.set_result(output)

        self.loop.call_soon_threadsafe(set_result)


class _RequestSource:
    """Page requests for the engine, in fair order, a few more than it decodes at once.

    The engine decodes requests in the order in which it takes them, so a later page waits for all of those.

    :param limit: most requests that the engine has taken and not answered.
    """

    def __init__(self, limit: int) -> None:
        #: Set when the engine takes requests, or has failed.
        self.started = threading.Event()
        self._limit, self._taken = limit, 0
        self._queue: FairQueue[_QueuedPage] = FairQueue()
        self._changed = threading.Condition()
        self._finishing = self._stopped = False

    def put(self, page: _QueuedPage, tokens: int) -> bool:
        """Queue a page, and return whether the engine may still take it."""
        with self._changed:
            if not self._stopped:
                self._queue.put(page, page.client, tokens)
                self._changed.notify()
            return not self._stopped

    def remove(self, page: _QueuedPage) -> None:
        """Remove a page that the engine has not taken."""
        with self._changed:
            self._queue.remove(page, page.client)

    @property
    def queued(self) -> int:
        """Number of pages that the engine has not taken."""
        with self._changed:
            return len(self._queue)

    def answered(self) -> None:
        """Note that the engine has answered one of the requests that it took."""
        with self._changed:
            self._taken -= 1
            self._changed.notify()

    def finish(self) -> None:
        """End after the queued pages."""
        with self._changed:
            self._finishing = True
            self._changed.notify()

    def stop(self) -> None:
        """End immediately."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def __iter__(self) -> Iterator[PageRequest]:
        self.started.set()
        while (page := self._next()) is not None:
            yield page.request

    def _next(self) -> _QueuedPage | None:
        with self._changed:
            while True:
                self._changed.wait_for(
                    lambda: (
                        self._stopped
                        or (self._finishing and not self._queue)
                        or (self._queue and self._taken < self._limit)
                    )
                )
                if self._stopped or not self._queue:
                    return None
                page = self._queue.get()
                if not page.cancelled.is_set():
                    self._taken += 1
                    return page


class Dispatcher:
    """Sends pages of many clients through one engine, in one continuous batch.

    :param engine: used in the dispatcher's thread only.
    :param on_broken: called from that thread when the engine cannot continue.
    :param slots: pages that the engine decodes at once.
    """

    def __init__(self, engine: InProcessEngine, on_broken: Callable[[], None], slots: int) -> None:
        self._engine, self._on_broken = engine, on_broken
        self._source = _RequestSource(slots + min(slots, _PREPARED))
        self._pages: dict[int, _QueuedPage] = {}
        self._keys = count()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the engine, and return when it takes pages.

        :raises UnavailableError: ``engine_error`` if it does not start in time.
        :raises Exception: the engine's error, such as too little memory.
        """
        self._thread.start()
        if not self._source.started.wait(_START_TIMEOUT_S):
            raise UnavailableError(
                ErrorCode.ENGINE_ERROR, f"The engine did not start in {_START_TIMEOUT_S:g} s."
            )
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End after the pages that are queued."""
        self._source.finish()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT_S)

    @property
    def queued(self) -> int:
        """Number of pages that the engine has not taken yet."""
        return self._source.queued

    async def read(
        self,
        make: Callable[[int, Callable[[], bool]], PageRequest],
        client: str = "",
        tokens: int = PAGE_TOKENS,
    ) -> PageOutput:
        """Return a page's output; cancelling this coroutine cancels the page.

        :param make: creates the request from its key and from the function that reports cancellation.
        :param client: sender of the page; each client has the same share of the engine.
        :param tokens: estimated tokens of the page.
        """
        loop = asyncio.get_running_loop()
        cancelled, key = threading.Event(), next(self._keys)
        page = _QueuedPage(
            make(key, cancelled.is_set), client, loop, loop.create_future(), cancelled
        )
        self._pages[key] = page
        try:
            if not self._source.put(page, tokens):
                return _broken(key)
            return await page.output
        finally:
            cancelled.set()
            self._source.remove(page)
            self._pages.pop(key, None)

    def _run(self) -> None:
        try:
            with closing(self._engine.read(self._source)) as outputs:
                self._deliver(outputs)
        except Exception as error:
            log.exception("The engine ended.")
            self._error = error
            self._on_broken()
        finally:
            self._source.stop()
            for page in list(self._pages.values()):
                page.resolve(_broken(page.request.key))
            self._source.started.set()

    def _deliver(self, outputs: Iterable[PageOutput]) -> None:
        for output in outputs:
            self._source.answered()
            page = self._pages.get(output.key)  # type: ignore[call-overload]
            if page is not None:
                page.resolve(output)
            if (
                output.error is not None
                and output.error.code == ErrorCode.ENGINE_ERROR
                and not self._engine.works()
            ):
                raise UnavailableError(
                    ErrorCode.ENGINE_ERROR,
                    "The device no longer computes; restart the server, and see the host's kernel log.",
                )


def _broken(key: Hashable) -> PageOutput:
    return PageOutput(
        key=key, error=UnavailableError(ErrorCode.SERVER_BROKEN, "The server's engine ended.")
    )

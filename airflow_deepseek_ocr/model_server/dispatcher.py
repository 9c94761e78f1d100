"""All callers' pages through one engine: the engine draws them from a queue that never ends."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import count

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.model_server.admission import PAGE_TOKENS
from airflow_deepseek_ocr.model_server.fair_queue import FairQueue
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest

log = logging.getLogger(__name__)

_START_TIMEOUT_S = 600.0
_STOP_TIMEOUT_S = 60.0
#: Pages drawn ahead of those that are being read: two groups of the vision tower's.
_PREPARED = 16


@dataclass(eq=False)
class _Waiting:
    """A page and who waits for it."""

    request: PageRequest
    loop: asyncio.AbstractEventLoop
    reading: asyncio.Future[PageOutput]
    cancelled: threading.Event = field(default_factory=threading.Event)

    def give(self, reading: PageOutput) -> None:
        def set_result() -> None:
            if not self.reading.done():
                self.reading.set_result(reading)

        self.loop.call_soon_threadsafe(set_result)


class _Source:
    """Pages in the order in which they are to be read, a few more than are read at once.

    What the engine has drawn it reads in that order: a page that comes later waits for all of it.

    :param most: pages drawn that have no reading yet.
    """

    def __init__(self, most: int) -> None:
        self.drawn = threading.Event()
        self._most, self._open = most, 0
        self._queue: FairQueue[_Waiting] = FairQueue()
        self._changed = threading.Condition()
        self._finishing = self._stopped = False

    def put(self, waiting: _Waiting, caller: str, tokens: int) -> bool:
        """Whether the page may still be drawn."""
        with self._changed:
            if not self._stopped:
                self._queue.put(waiting, caller, tokens)
                self._changed.notify()
            return not self._stopped

    def forget(self, waiting: _Waiting, caller: str) -> None:
        """Nobody waits for this page any more, if it was not drawn yet."""
        with self._changed:
            self._queue.remove(waiting, caller)

    def answered(self) -> None:
        """There is a reading of one of the pages drawn."""
        with self._changed:
            self._open -= 1
            self._changed.notify()

    def finish(self) -> None:
        """End when all pages that are there are drawn."""
        with self._changed:
            self._finishing = True
            self._changed.notify()

    def stop(self) -> None:
        """End at once: nobody draws any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def __iter__(self) -> Iterator[PageRequest]:
        self.drawn.set()
        while (waiting := self._next()) is not None:
            request, image = waiting.request, waiting.request.image
            yield request if image.mode == "RGB" else replace(request, image=image.convert("RGB"))

    def _next(self) -> _Waiting | None:
        with self._changed:
            while True:
                self._changed.wait_for(
                    lambda: (
                        self._stopped
                        or (self._finishing and not self._queue)
                        or (self._queue and self._open < self._most)
                    )
                )
                if self._stopped or not self._queue:
                    return None
                waiting = self._queue.get()
                if not waiting.cancelled.is_set():
                    self._open += 1
                    return waiting


class Pages:
    """Reads pages of many callers in one continuous batch.

    :param engine: what reads; used in a thread of this object's alone.
    :param on_broken: called from that thread when the engine cannot read any more.
    :param at_once: pages that the engine reads at once.
    """

    def __init__(
        self, engine: InProcessEngine, on_broken: Callable[[], None], at_once: int
    ) -> None:
        self._engine, self._on_broken = engine, on_broken
        self._source = _Source(at_once + min(at_once, _PREPARED))
        self._waiting: dict[int, _Waiting] = {}
        self._keys = count()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start; returns when the engine takes pages.

        :raises Exception: what kept it from starting, such as too little memory.
        """
        self._thread.start()
        if not self._source.drawn.wait(_START_TIMEOUT_S):
            raise UnavailableError(ErrorCode.ENGINE_ERROR, "The engine did not start in time.")
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Let the pages that are there be read, then end."""
        self._source.finish()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT_S)

    async def read(
        self,
        make: Callable[[int, Callable[[], bool]], PageRequest],
        caller: str = "",
        tokens: int = PAGE_TOKENS,
    ) -> PageOutput:
        """The reading of a page; cancelling this coroutine gives the page up.

        :param make: the request, from its key and from what says whether it is cancelled.
        :param caller: whose page it is: each has the same share of the engine.
        :param tokens: that the page is estimated to take.
        """
        loop = asyncio.get_running_loop()
        gone = threading.Event()
        key = next(self._keys)
        waiting = _Waiting(make(key, gone.is_set), loop, loop.create_future(), gone)
        self._waiting[key] = waiting
        try:
            if not self._source.put(waiting, caller, tokens):
                return _unread(key)
            return await waiting.reading
        finally:
            gone.set()
            self._source.forget(waiting, caller)
            self._waiting.pop(key, None)

    def _run(self) -> None:
        try:
            with closing(self._engine.read(self._source)) as readings:
                self._deliver(readings)
        except Exception as error:
            log.exception("The engine ended.")
            self._error = error
            self._on_broken()
        finally:
            self._source.stop()
            for waiting in list(self._waiting.values()):
                waiting.give(_unread(waiting.request.key))
            self._source.drawn.set()

    def _deliver(self, readings: Iterable[PageOutput]) -> None:
        for reading in readings:
            self._source.answered()
            waiting = self._waiting.get(reading.key)  # type: ignore[call-overload]
            if waiting is not None:
                waiting.give(reading)
            if (
                reading.error is not None
                and reading.error.code == ErrorCode.ENGINE_ERROR
                and not self._engine.works()
            ):
                raise UnavailableError(
                    ErrorCode.ENGINE_ERROR, "The device does not compute any more."
                )


def _unread(key: Hashable) -> PageOutput:
    return PageOutput(
        key=key, error=UnavailableError(ErrorCode.SERVER_BROKEN, "The server's engine ended.")
    )

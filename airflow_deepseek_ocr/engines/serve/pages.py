"""All callers' pages through one engine: the engine draws them from a queue that never ends."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count

from airflow_deepseek_ocr.engines.transformers_engine import TransformersEngine
from airflow_deepseek_ocr.errors import UnavailableError
from airflow_deepseek_ocr.ocr.engine import PageReading, PageRequest

log = logging.getLogger(__name__)

_START_TIMEOUT_S = 600.0
_STOP_TIMEOUT_S = 60.0


@dataclass(eq=False)
class _Waiting:
    """A page and who waits for it."""

    request: PageRequest
    loop: asyncio.AbstractEventLoop
    reading: asyncio.Future[PageReading]
    cancelled: threading.Event = field(default_factory=threading.Event)

    def give(self, reading: PageReading) -> None:
        def set_result() -> None:
            if not self.reading.done():
                self.reading.set_result(reading)

        self.loop.call_soon_threadsafe(set_result)


class _Source:
    """Pages as they come; ends when it is stopped."""

    def __init__(self) -> None:
        self.drawn = threading.Event()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()

    def put(self, waiting: _Waiting) -> None:
        self._queue.put(waiting)

    def stop(self) -> None:
        self._queue.put(None)

    def __iter__(self) -> Iterator[PageRequest]:
        self.drawn.set()
        while (waiting := self._queue.get()) is not None:
            if not waiting.cancelled.is_set():
                yield waiting.request


class Pages:
    """Reads pages of many callers in one continuous batch.

    :param engine: what reads; used in a thread of this object's alone.
    :param on_broken: called from that thread when the engine cannot read any more.
    """

    def __init__(self, engine: TransformersEngine, on_broken: Callable[[], None]) -> None:
        self._engine, self._on_broken = engine, on_broken
        self._source = _Source()
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
            raise UnavailableError("engine_error", "The engine did not start in time.")
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Let the pages that are there be read, then end."""
        self._source.stop()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT_S)

    async def read(self, make: Callable[[int, Callable[[], bool]], PageRequest]) -> PageReading:
        """The reading of a page; cancelling this coroutine gives the page up.

        :param make: the request, from its key and from what says whether it is cancelled.
        """
        loop = asyncio.get_running_loop()
        gone = threading.Event()
        key = next(self._keys)
        waiting = _Waiting(make(key, gone.is_set), loop, loop.create_future(), gone)
        self._waiting[key] = waiting
        self._source.put(waiting)
        try:
            return await waiting.reading
        finally:
            gone.set()
            self._waiting.pop(key, None)

    def _run(self) -> None:
        try:
            with closing(self._engine.read(self._source)) as readings:
                self._deliver(readings)
        except Exception as error:
            log.exception("The engine ended.")
            self._error = error
            for waiting in list(self._waiting.values()):
                waiting.give(
                    PageReading(
                        waiting.request.key,
                        error=UnavailableError("server_broken", "The server's engine ended."),
                    )
                )
            self._on_broken()
        finally:
            self._source.drawn.set()

    def _deliver(self, readings: Iterable[PageReading]) -> None:
        for reading in readings:
            waiting = self._waiting.get(reading.key)  # type: ignore[call-overload]
            if waiting is not None:
                waiting.give(reading)
            code = reading.error.code if reading.error else ""
            if code == "engine_error" and not self._engine.works():
                raise UnavailableError(code, "The device does not compute any more.")

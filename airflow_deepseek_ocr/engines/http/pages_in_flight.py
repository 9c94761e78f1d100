"""Pages that were sent to a server and are not answered yet."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any

from airflow_deepseek_ocr.concurrency.event_loop_thread import EventLoopThread
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest, cancelled_error

#: Seconds between two checks whether requests were cancelled.
POLL_S = 0.05


class PagesInFlight:
    """Runs pages in an event loop, and returns their outputs in the order in which they finish.

    :param loop: runs the pages.
    :param poll_s: longest wait in :meth:`next_output`, and pause between two checks for cancelled requests.
    """

    def __init__(self, loop: EventLoopThread, poll_s: float = POLL_S) -> None:
        self._loop, self._poll_s = loop, poll_s
        self._requests: dict[Future[PageOutput], PageRequest] = {}
        # None wakes the consumer up without an output.
        self._finished: queue.SimpleQueue[Future[PageOutput] | None] = queue.SimpleQueue()
        self._checked = time.monotonic()

    def __len__(self) -> int:
        return len(self._requests)

    def start(
        self, request: PageRequest, exchange: Callable[[], Coroutine[Any, Any, PageOutput]]
    ) -> None:
        """Start a page."""
        future = self._loop.start(exchange())
        self._requests[future] = request
        future.add_done_callback(self._finished.put)

    def wake(self) -> None:
        """Let :meth:`next_output` return early; called from any thread."""
        self._finished.put(None)

    def next_output(self) -> PageOutput | None:
        """Return the next output; None after a while without one, or if woken up.

        :raises Exception: an error that concerns all pages.
        """
        self._cancel()
        try:
            future = self._finished.get(timeout=self._poll_s)
        except queue.Empty:
            return None
        if future is None:
            return None
        request = self._requests.pop(future)
        try:
            return future.result()
        except CancelledError:
            return PageOutput(key=request.key, error=cancelled_error())

    def close(self) -> None:
        """Cancel all pages."""
        for future in list(self._requests):
            future.cancel()

    def _cancel(self) -> None:
        """Cancel pages whose request was cancelled."""
        if time.monotonic() - self._checked < self._poll_s:
            return
        self._checked = time.monotonic()
        for future, request in self._requests.items():
            if request.cancelled():
                future.cancel()

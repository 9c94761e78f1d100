"""An event loop in a thread, for generators that are not coroutines."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

Result = TypeVar("Result")

#: Seconds that cleaning up may take when the loop ends.
_END_TIMEOUT_S = 10.0


class EventLoopThread:
    """Runs coroutines in an event loop in another thread, as long as its context is open.

    The thread is a daemon, so a generator that was never closed cannot block interpreter exit (executor
    threads and anyio portals would).
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="event-loop", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel the coroutines that still run, and end the thread."""
        self.finish(_cancel_others())
        if sys.is_finalizing():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_TIMEOUT_S)
        self._loop.close()

    def start(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Start a coroutine; cancelling the returned future cancels it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that cleans up, and wait for its end.

        :raises TimeoutError: it takes more than 10 seconds.
        """
        if sys.is_finalizing():  # daemon threads do not run any more
            coroutine.close()
        else:
            self.start(coroutine).result(_END_TIMEOUT_S)


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def run_in_daemon_thread(function: Callable[[], Result]) -> Result:
    """Run a blocking function in a daemon thread and return its result.

    If the caller is cancelled, the function runs to its end in its thread, and its result is dropped.

    :raises Exception: the error that the function raises.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def hand_over(set_it: Callable[[Any], None], value: Any) -> None:
        def unless_done() -> None:
            if not future.done():
                set_it(value)

        try:
            loop.call_soon_threadsafe(unless_done)
        except RuntimeError:
            return  # the loop was closed meanwhile: the result has no receiver

    def run() -> None:
        try:
            result = function()
        except BaseException as error:
            hand_over(future.set_exception, error)
        else:
            hand_over(future.set_result, result)

    threading.Thread(target=run, name="blocking-call", daemon=True).start()
    return await future

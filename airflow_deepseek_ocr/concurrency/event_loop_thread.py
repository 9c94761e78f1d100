"""An event loop in a thread, for generators that are no coroutines."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

Result = TypeVar("Result")

_END_TIMEOUT_S = 10.0


class Background:
    """Runs coroutines while its context is open.

    The thread is a daemon: a generator that was never closed keeps no process from ending, which the
    threads of executors and of anyio's portals would.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="http", daemon=True)

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel what still runs."""
        self.finish(_cancel_others())
        if sys.is_finalizing():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_TIMEOUT_S)
        self._loop.close()

    def start(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Start a coroutine; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that cleans up, and wait for it."""
        if sys.is_finalizing():  # the thread does not run any more
            coroutine.close()
        else:
            self.start(coroutine).result(_END_TIMEOUT_S)


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def in_thread(function: Callable[[], Result]) -> Result:
    """What a function returns that blocks; cancelled, it is left to itself in its daemon thread."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def tell(set_it: Callable[[Any], None], value: Any) -> None:
        def unless_done() -> None:
            if not future.done():
                set_it(value)

        try:
            loop.call_soon_threadsafe(unless_done)
        except RuntimeError:
            return  # the loop was closed meanwhile: nobody waits

    def run() -> None:
        try:
            result = function()
        except BaseException as error:
            tell(future.set_exception, error)
        else:
            tell(future.set_result, result)

    threading.Thread(target=run, name="http-blocking", daemon=True).start()
    return await future

"""A TCP proxy that delays each request to a server, as the way to an object store does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 1 << 16
_LOOPBACK = "127.0.0.1"
_START_TIMEOUT_S = 10.0


class _Connection:
    """One client's connection: the first bytes after an answer are a new request."""

    def __init__(self, target: int, delay_s: float) -> None:
        self._target, self._delay_s = target, delay_s
        self._answered = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            from_server, to_server = await asyncio.open_connection(_LOOPBACK, self._target)
            pumps = [
                asyncio.create_task(self._forward_requests(reader, to_server)),
                asyncio.create_task(self._forward_answers(from_server, writer)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            to_server.close()
        writer.close()

    async def _forward_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(_CHUNK):
            if self._answered:
                self._answered = False
                await asyncio.sleep(self._delay_s)
            writer.write(data)
            await writer.drain()

    async def _forward_answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(_CHUNK):
            self._answered = True
            writer.write(data)
            await writer.drain()


@contextmanager
def latency_proxy(target: int, delay_s: float) -> Iterator[int]:
    """Run a proxy on the loopback interface, and yield its port.

    :param target: port of the server.
    :param delay_s: seconds by which each request is delayed.
    :raises TimeoutError: it does not start.
    """
    loop, started = asyncio.new_event_loop(), threading.Event()
    port: list[int] = []

    async def serve(stop: asyncio.Event) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.CancelledError):
                await _Connection(target, delay_s).serve(reader, writer)

        server = await asyncio.start_server(connected, _LOOPBACK, 0)
        port.append(server.sockets[0].getsockname()[1])
        started.set()
        await stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(stop)), daemon=True)
    thread.start()
    if not started.wait(_START_TIMEOUT_S):
        raise TimeoutError("the latency proxy does not start")
    try:
        yield port[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_START_TIMEOUT_S)
        loop.close()

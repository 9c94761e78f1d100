"""A TCP proxy that cuts connections on request."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.servers.process import LOOPBACK, free_port

_CHUNK = 1 << 14


class Proxy:
    """A proxy in front of a server.

    :ivar port: where clients connect.
    """

    def __init__(self, target: int) -> None:
        self.port, self._target = free_port(), target
        self._open = True
        self._transports: set[asyncio.Transport] = set()
        self._left: int | None = None
        self._loop = asyncio.new_event_loop()

    def cut(self) -> None:
        """Break all connections."""
        self._loop.call_soon_threadsafe(self._cut)

    def cut_after(self, size: int) -> None:
        """Break all connections when the server has sent ``size`` more bytes."""
        self._left = size

    def close(self) -> None:
        """Break all connections, and refuse new ones until :meth:`open`."""
        self._open = False
        self.cut()

    def open(self) -> None:
        """Let connections through again."""
        self._open = True

    def _cut(self) -> None:
        for transport in list(self._transports):
            with contextlib.suppress(OSError):
                # An abrupt end (RST), not an orderly one.
                option = struct.pack("ii", 1, 0)
                transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, option
                )
            transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        try:
            to_reader, to_writer = await asyncio.open_connection(LOOPBACK, self._target)
        except OSError:
            writer.transport.abort()
            return
        transports = {writer.transport, to_writer.transport}
        self._transports |= transports
        pumps = [
            asyncio.create_task(self._pump(reader, to_writer, counts=False)),
            asyncio.create_task(self._pump(to_reader, writer, counts=True)),
        ]
        try:
            # When one side is gone, the other must hear of it: it may be waiting for an answer.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for each in (writer, to_writer):
                with contextlib.suppress(OSError, TimeoutError):
                    await asyncio.wait_for(each.drain(), 1)
        except asyncio.CancelledError:
            pass  # the proxy ends, and this task is not awaited
        finally:
            for pump in pumps:
                pump.cancel()
            for transport in transports:
                transport.close()
            self._transports -= transports

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if counts and self._left is not None:
                    data, left = data[: self._left], self._left - len(data)
                    self._left = max(0, left)
                    if left <= 0:
                        self._left = None
                        writer.write(data)
                        await asyncio.sleep(0)
                        self._cut()
                        return
                writer.write(data)
                await writer.drain()

    async def _run(self, started: threading.Event, stop: asyncio.Event) -> None:
        async with await asyncio.start_server(self._serve, LOOPBACK, self.port):
            started.set()
            await stop.wait()
            self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def proxy(target: int) -> Iterator[Proxy]:
    """A running proxy before the server on that port of the loopback."""
    made, started, stop = Proxy(target), threading.Event(), asyncio.Event()
    thread = threading.Thread(
        target=lambda: made._loop.run_until_complete(made._run(started, stop)), daemon=True
    )
    thread.start()
    if not started.wait(10):
        raise TimeoutError("the proxy does not start")
    try:
        yield made
    finally:
        made._loop.call_soon_threadsafe(stop.set)
        thread.join(10)

"""A queue whose requests do not block the triggerer's event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from asgiref.sync import sync_to_async

from airflow_deepseek_ocr.airflow_support.connections import sqs_client
from airflow_deepseek_ocr.sources.sqs import Message, Queue

_T = TypeVar("_T")


class BackgroundQueue:
    """A queue that is read in a dedicated thread: a wait for messages takes no thread of other triggers.

    :param aws_conn_id: connection to SQS; None takes the triggerer's own credentials.
    :param url: URL of the queue.
    """

    def __init__(self, aws_conn_id: str | None, url: str) -> None:
        self._aws_conn_id, self._url = aws_conn_id, url
        self._queue: Queue | None = None
        # asgiref's default is one thread for everything in the triggerer.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqs")

    async def receive(self, wait_s: int, visibility_timeout_s: int) -> list[Message]:
        """See :meth:`~airflow_deepseek_ocr.sources.sqs.Queue.receive`.

        :raises ConfigurationError: ``connection``.
        :raises UnavailableError: ``queue_unavailable``.
        """
        return await self._call(lambda queue: queue.receive(wait_s, visibility_timeout_s))

    async def delete(self, receipts: Sequence[str]) -> int:
        """See :meth:`~airflow_deepseek_ocr.sources.sqs.Queue.delete`.

        :raises ConfigurationError: ``connection``.
        :raises UnavailableError: ``queue_unavailable``.
        """
        return await self._call(lambda queue: queue.delete(receipts))

    def close(self) -> None:
        """End the thread and its connections as soon as its request ends.

        Messages that it receives then come again.
        """
        # RuntimeError: it is closed, or the process ends.
        with suppress(RuntimeError):
            self._thread.submit(self._drop)
        self._thread.shutdown(wait=False)

    def _drop(self) -> None:
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.close()

    async def _call(self, request: Callable[[Queue], _T]) -> _T:
        def call() -> _T:
            try:
                # The look-up of the connection is a request too.
                if self._queue is None:
                    self._queue = Queue(sqs_client(self._aws_conn_id, self._url), self._url)
                return request(self._queue)
            except Exception:
                # The connection may be mended before the next request.
                self._drop()
                raise

        # Not asyncio's: Airflow's look-ups call back into the event loop, which asgiref knows from here.
        in_thread = sync_to_async(call, thread_sensitive=False, executor=self._thread)
        result: _T = await in_thread()
        return result

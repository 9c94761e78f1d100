"""Requests to a queue in threads: no wait blocks the event loop or another trigger."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.sources.sqs import Message
from airflow_deepseek_ocr.triggers import background_queue
from airflow_deepseek_ocr.triggers.background_queue import BackgroundQueue
from tests.support.waiting import eventually

#: Seconds after which a test that hangs fails.
PATIENCE_S = 60


def uses(monkeypatch: pytest.MonkeyPatch, receive: Any, opened: list[Any] | None = None) -> None:
    class Queue:
        def __init__(self, client: Any, url: str) -> None:
            self.url = url

        def close(self) -> None:
            if opened is not None:
                opened.append("closed")

        def receive(self, wait_s: int, visibility_timeout_s: int) -> Any:
            return receive(wait_s, visibility_timeout_s)

        def delete(self, receipts: Any) -> int:
            return len(receipts)

    def client(conn_id: str | None, url: str) -> None:
        if opened is not None:
            opened.append((conn_id, url))

    monkeypatch.setattr(background_queue, "Queue", Queue)
    monkeypatch.setattr(background_queue, "sqs_client", client)


def test_waits_run_at_the_same_time_beside_airflows_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    # More than the threads of any shared pool with a bound.
    together, answered = threading.Barrier(41), threading.Event()

    def receive(wait_s: int, visibility_timeout_s: int) -> list[Message]:
        together.wait(PATIENCE_S)
        assert answered.wait(PATIENCE_S)
        return [Message("id", "body", "receipt")]

    async def watch() -> Any:
        queues = [BackgroundQueue(None, str(number)) for number in range(40)]
        waits = [asyncio.create_task(queue.receive(10, 60)) for queue in queues]
        await asyncio.to_thread(together.wait, PATIENCE_S)
        assert await asyncio.wait_for(sync_to_async(lambda: "answer")(), PATIENCE_S) == "answer"
        answered.set()
        found = await asyncio.gather(*waits)
        for queue in queues:
            queue.close()
        return found

    uses(monkeypatch, receive)
    assert asyncio.run(watch()) == [[Message("id", "body", "receipt")]] * 40


def test_a_request_may_call_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's task SDK asks the triggerer's supervisor for connections in this way."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()

        async def connection() -> bool:
            return asyncio.get_running_loop() is loop

        uses(monkeypatch, lambda *_: [async_to_sync(connection)()])
        queue = BackgroundQueue(None, "url")
        try:
            return await queue.receive(0, 60)
        finally:
            queue.close()

    assert asyncio.run(main()) == [True]


def test_the_client_is_made_once_and_again_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    answers: list[Any] = [[], UnavailableError(ErrorCode.QUEUE_UNAVAILABLE, "away"), [], []]

    def receive(*_: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def main() -> None:
        queue = BackgroundQueue("aws", "url")
        assert await queue.receive(0, 60) == []
        with pytest.raises(UnavailableError):
            await queue.receive(0, 60)
        assert await queue.receive(0, 60) == []
        assert await queue.delete(["a", "b"]) == 2
        queue.close()
        queue.close()

    uses(monkeypatch, receive, opened)
    asyncio.run(main())
    eventually(lambda: len(opened) == 4, PATIENCE_S)
    assert opened == [("aws", "url"), "closed"] * 2


def test_a_closed_queue_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    uses(monkeypatch, lambda *_: threads.append(threading.current_thread()) or [])

    async def main() -> None:
        queue = BackgroundQueue(None, "url")
        await queue.receive(0, 60)
        queue.close()

    asyncio.run(main())
    threads[0].join(PATIENCE_S)
    assert not threads[0].is_alive()

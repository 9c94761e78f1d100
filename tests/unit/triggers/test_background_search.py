"""Searches in threads of their own: none waits for another, and none blocks Airflow's own calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from airflow_deepseek_ocr.airflow_support.new_documents import NewDocuments
from airflow_deepseek_ocr.connection.options import DiscoveryOptions, OcrOptions
from airflow_deepseek_ocr.exceptions import UnavailableError
from airflow_deepseek_ocr.triggers.background_search import BackgroundSearch

SEARCH = NewDocuments(discovery=DiscoveryOptions(bucket="b", prefix="in/"), ocr=OcrOptions())
#: Seconds after which a test that hangs fails.
PATIENCE_S = 60


def finds_with(monkeypatch: pytest.MonkeyPatch, find: Any) -> None:
    monkeypatch.setattr(NewDocuments, "find", lambda self, emitted=None, found=None: find(emitted))


def test_searches_run_at_the_same_time_beside_airflows_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    together, answered = threading.Barrier(5), threading.Event()

    def find(emitted: Any) -> list[Any]:
        together.wait(PATIENCE_S)
        assert answered.wait(PATIENCE_S)
        return [[{"uri": "s3://b/a"}]]

    async def watch() -> list[Any]:
        searches = [asyncio.create_task(BackgroundSearch(SEARCH).find()) for _ in range(4)]
        await asyncio.to_thread(together.wait, PATIENCE_S)
        # Airflow's look-up of a connection is such a call. All searches are still running.
        assert await asyncio.wait_for(sync_to_async(lambda: "answer")(), PATIENCE_S) == "answer"
        answered.set()
        return await asyncio.gather(*searches)

    finds_with(monkeypatch, find)
    assert asyncio.run(watch()) == [[[{"uri": "s3://b/a"}]]] * 4


def test_a_search_may_call_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's task SDK asks the triggerer's supervisor for connections in this way."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()

        async def connection() -> bool:
            return asyncio.get_running_loop() is loop

        finds_with(monkeypatch, lambda emitted: [async_to_sync(connection)()])
        return await BackgroundSearch(SEARCH).find()

    assert asyncio.run(main()) == [True]


def test_what_was_emitted_reaches_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Mapping[str, float] | None] = []
    finds_with(monkeypatch, lambda emitted: asked.append(emitted) or [])
    asyncio.run(BackgroundSearch(SEARCH).find({"key": 3.0}))
    assert asked == [{"key": 3.0}]


def test_a_search_without_end_is_given_up_and_takes_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = threading.Event()
    started: list[int] = []

    def find(emitted: Any) -> list[Any]:
        started.append(1)
        assert answer.wait(PATIENCE_S)
        return []

    async def main() -> None:
        search = BackgroundSearch(SEARCH, limit_s=0.05)
        with pytest.raises(UnavailableError, match=r"s3://b/in/ has not ended"):
            await search.find()
        patient = BackgroundSearch(SEARCH)
        patient._running = search._running
        with pytest.raises(UnavailableError, match="still waiting"):
            await patient.find()
        answer.set()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    assert await patient.find() == []
                    break
                except UnavailableError:
                    await asyncio.sleep(0)

    finds_with(monkeypatch, find)
    asyncio.run(main())
    assert len(started) == 2

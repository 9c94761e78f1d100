"""The sum of the bytes of requests that are being received."""

from __future__ import annotations

import asyncio

import pytest

from airflow_deepseek_ocr.model_server.body_budget import BodyBudget


def test_a_request_waits_for_those_before_it() -> None:
    async def run() -> None:
        budget = BodyBudget(100)
        with budget.receive() as first:
            await first.take(60)
            with budget.receive() as second:
                await second.take(40)
                waiting = asyncio.create_task(second.take(1))
                await asyncio.sleep(0)
                assert (waiting.done(), second.waits, budget.bytes) == (False, True, 100)
                # The oldest one never waits.
                await first.take(50)
                assert (waiting.done(), budget.bytes) == (False, 150)
                waiting.cancel()
        assert budget.bytes == 0

    asyncio.run(run())


def test_the_next_one_continues_when_one_ends() -> None:
    async def run() -> list[int]:
        budget, ended = BodyBudget(100), list[int]()

        async def receive(number: int) -> None:
            with budget.receive() as reception:
                for _ in range(10):
                    await reception.take(30)
                    await asyncio.sleep(0)
                    assert budget.bytes <= 100 + 300
            ended.append(number)

        await asyncio.gather(*map(receive, range(8)))
        return ended

    assert sorted(asyncio.run(run())) == list(range(8))


def test_a_request_that_is_refused_gives_its_room_back() -> None:
    async def run() -> None:
        budget = BodyBudget(100)
        with budget.receive(), budget.receive() as second:
            await second.take(100)
            with budget.receive() as third:
                waiting = asyncio.create_task(third.take(1))
                with pytest.raises(ValueError), budget.receive():
                    raise ValueError
                await asyncio.sleep(0)
                assert not waiting.done()
                waiting.cancel()

    asyncio.run(run())

"""Connections to a server that is replaced, and turns to upload."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from airflow_deepseek_ocr.engines.http.image_delivery import Server
from airflow_deepseek_ocr.engines.http.session import Session, UploadLimits
from airflow_deepseek_ocr.engines.protocol.chat_completions import Capabilities
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import ErrorCode, ServerUnreachableError, UnavailableError


def server(port: int) -> Server:
    return Server(Endpoint(f"http://127.0.0.1:{port}"), Capabilities(model="m"))


def session(*found: Server | Exception, **options: UploadLimits) -> Session:
    results = list(found)

    def find() -> Server:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    return Session(server(1), find=find, connect=lambda _: httpx.AsyncClient(), **options)


def test_a_replaced_server_is_found_once_by_all_pages() -> None:
    async def renew() -> list[bool]:
        one = session(server(2))
        first, failed = one.client, one.server.endpoint
        renewed = await asyncio.gather(*[one.renew(failed) for _ in range(5)])
        assert one.server == server(2)
        assert one.client is not first
        await one.close()
        assert first.is_closed
        return renewed

    assert asyncio.run(renew()) == [True] * 5


def test_a_server_that_is_down_may_return() -> None:
    async def renew() -> list[bool]:
        one = session(ServerUnreachableError("down"), server(1), server(2))
        return [await one.renew(server(1).endpoint) for _ in range(3)]

    assert asyncio.run(renew()) == [False, False, True]


def test_a_server_that_cannot_be_started_is_an_error() -> None:
    async def renew() -> None:
        failed = UnavailableError(ErrorCode.SERVER_FAILED, "no way")
        await session(failed).renew(server(1).endpoint)

    with pytest.raises(UnavailableError, match="no way"):
        asyncio.run(renew())


@pytest.mark.parametrize(("needed", "most"), [(True, 1), (False, 4)])
def test_pages_that_may_break_the_server_run_alone(needed: bool, most: int) -> None:
    async def run() -> int:
        one, inside, seen = session(), 0, 0

        async def page() -> None:
            nonlocal inside, seen
            async with one.exclusive(needed):
                inside += 1
                seen = max(seen, inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*[page() for _ in range(4)])
        return seen

    assert asyncio.run(run()) == most


def test_a_turn_ends_when_the_page_is_sent_or_after_a_while() -> None:
    async def run() -> None:
        one = session(uploads=UploadLimits(concurrent=1, turn_s=60))
        async with one.upload_turn() as sent:
            sent()
            sent()
            async with one.upload_turn():
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01), one.upload_turn():
                        pass
        brief = session(uploads=UploadLimits(concurrent=1, turn_s=0.01))
        async with brief.upload_turn(), asyncio.timeout(20), brief.upload_turn():
            pass

    asyncio.run(run())

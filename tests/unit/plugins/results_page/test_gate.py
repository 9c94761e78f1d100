"""Bounds of work, and headers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_deepseek_ocr.plugins.results_page.gate import Gate, Places


def test_every_response_has_the_headers(client: Callable[..., TestClient]) -> None:
    viewer = client()
    for path in ("/", "/static/app.js", "/api/documents", "/api/documents/4711", "/nothing"):
        headers = viewer.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] in ("private, no-store", "no-cache")


def test_a_failure_without_a_handler_has_the_headers(
    client: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "airflow_deepseek_ocr.plugins.results_page.lists.flags_in_words", lambda: 1 // 0
    )
    viewer = client()
    viewer._transport.raise_server_exceptions = False  # type: ignore[attr-defined]
    answer = viewer.get("/api/session")
    assert answer.status_code == 500
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_body_that_is_too_large_is_not_read_whole(client: Callable[..., TestClient]) -> None:
    parts = iter([b"x" * 1_000_000] * 30)
    headers = {"content-type": "application/json"}
    answer = client(None).put("/api/documents/1/pages/1/review", content=parts, headers=headers)
    assert answer.status_code == 413
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_path_of_airflow_makes_no_request_one_of_the_api() -> None:
    passed: list[str] = []

    async def app(scope: dict[str, Any], *_: Any) -> None:
        passed.append(scope["path"])

    async def send(_: dict[str, Any]) -> None:
        pass

    gate = Gate(app)
    gate._requests = Places(0, 0)
    root = "/api/airflow/deepseek-ocr"
    for path in ("/static/app.js", "/", "/api/documents", "/api/static/"):
        scope = {"type": "http", "path": f"{root}{path}", "root_path": root}
        asyncio.run(gate(scope, None, send))
    assert passed == [f"{root}/static/app.js", f"{root}/"]


def test_a_request_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck(*_: Any) -> None:
        await asyncio.sleep(60)

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    monkeypatch.setattr("airflow_deepseek_ocr.plugins.results_page.gate.REQUEST_S", 0.01)
    gate = Gate(stuck)
    for path in ("/api/documents", "/api/documents/1/pages/1/picture"):
        asyncio.run(gate({"type": "http", "path": path}, None, send))
    assert [message["status"] for message in sent[::2]] == [504, 504]


def test_places_are_bounded() -> None:
    async def run() -> list[bool]:
        places = Places(1, waiting=1)
        async with places.place() as first, places.place(0.01) as second:
            waiting = asyncio.create_task(places.place(5).__aenter__())
            await asyncio.sleep(0)
            async with places.place() as third:
                pass
        return [first, second, third, await waiting]

    assert asyncio.run(run()) == [True, False, False, True]


def test_a_request_without_a_place_is_refused_in_words() -> None:
    async def never(*_: Any) -> None:
        raise AssertionError("the app is not called")

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    gate = Gate(never)
    gate._requests = Places(0, waiting=0)
    scope = {"type": "http", "path": "/deepseek-ocr/api/documents"}
    asyncio.run(gate(scope, None, send))
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"3") in sent[0]["headers"]
    assert b"Try again" in sent[1]["body"]

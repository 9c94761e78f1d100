"""A server that cannot load ends, whatever the reason, and does not stay loading for ever."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.model_server import service
from airflow_deepseek_ocr.model_server.service import Model, Service


@pytest.mark.parametrize("place", ["InProcessEngine", "Places"])
def test_any_error_while_it_loads_ends_it(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Engine:
        clock = None

        def __init__(self, *_: Any, **__: Any) -> None:
            self.clock = type("Clock", (), {"seconds": dict})

        def plan(self) -> Any:
            return type("Plan", (), {"slots": 4})

        def read(self, requests: Any) -> Any:
            yield from ([] for _ in requests)

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no way")

    monkeypatch.setattr(service, "InProcessEngine", Engine)
    ended = threading.Event()
    loading = Service(Model(Path("unused"), "m"), on_end=ended.set)
    monkeypatch.setattr(service, place, fail)
    loading.load()
    assert ended.wait(20)
    assert (loading.state, str(loading.failure)) == ("failed", "no way")
    assert loading.capabilities is None

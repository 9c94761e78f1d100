"""One engine per process."""

from __future__ import annotations

from typing import Any

from airflow_deepseek_ocr.engines.in_process.engine_cache import EngineCache, EngineKey
from airflow_deepseek_ocr.ocr.decoding import Decoding
from tests.conftest import TINY_MODEL


class Engine:
    def __init__(self, key: EngineKey) -> None:
        self.key, self.closed = key, False

    def close(self) -> None:
        self.closed = True


def key(dtype: str) -> EngineKey:
    return EngineKey(TINY_MODEL, "cpu", dtype, None, Decoding())


def test_an_engine_is_kept_until_another_is_asked_for() -> None:
    loaded: list[Any] = []

    def load(asked: EngineKey) -> Any:
        # Two models rarely fit one GPU.
        assert all(engine.closed for engine in loaded)
        loaded.append(Engine(asked))
        return loaded[-1]

    cache = EngineCache(load)
    assert cache.get(key("auto")) is cache.get(key("auto")) is loaded[0]
    assert cache.get(key("float32")) is loaded[1]
    assert [engine.closed for engine in loaded] == [True, False]
    assert loaded[1].key == key("float32")


def test_a_released_engine_is_closed_and_loaded_again() -> None:
    loaded: list[Any] = []

    def load(asked: EngineKey) -> Any:
        loaded.append(Engine(asked))
        return loaded[-1]

    cache = EngineCache(load)
    cache.release()
    assert not loaded
    cache.get(key("auto"))
    cache.release()
    cache.release()
    assert loaded[0].closed
    assert cache.get(key("auto")) is loaded[1]

"""A cache of one engine per process: loaded at the first use and kept for the next."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.exceptions import MissingExtraError
from airflow_deepseek_ocr.hardware.cpu_threads import limit_threads, sleep_while_waiting
from airflow_deepseek_ocr.ocr.decoding import Decoding

if TYPE_CHECKING:
    from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine


@dataclass(frozen=True)
class EngineKey:
    """Settings that identify an engine; see :class:`InProcessEngine`."""

    directory: Path
    device: str
    dtype: str
    batch_size: int | None
    decoding: Decoding


class EngineCache:
    """Holds at most one engine: two models rarely fit one GPU.

    :param load: makes an engine; see :class:`InProcessEngine`.
    """

    def __init__(self, load: Callable[[EngineKey], InProcessEngine]) -> None:
        self._load, self._lock = load, threading.Lock()
        self._current: tuple[EngineKey, InProcessEngine] | None = None

    def get(self, key: EngineKey) -> InProcessEngine:
        """Return the engine of these settings; close one with other settings, and load it, if need be.

        Raises what ``load`` raises.
        """
        with self._lock:
            if self._current is not None:
                if self._current[0] == key:
                    return self._current[1]
                self._close()
            engine = self._load(key)
            self._current = (key, engine)
            return engine

    def release(self) -> None:
        """Close the engine, if there is one, and free its memory."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._current is not None:
            self._current[1].close()
            self._current = None


def cached_engine(key: EngineKey) -> InProcessEngine:
    """Return this process's engine of these settings, loaded if need be.

    An engine with other settings is closed first.

    :raises MissingExtraError: if torch or transformers are not installed.
    :raises UnavailableError: ``model_missing``, ``model_incomplete``.
    :raises ConfigurationError: ``device``, ``dtype``, ``model_config``, ``model_tokenizer``.
    """
    return _cache.get(key)


def release_cached_engine() -> None:
    """Close this process's engine, if there is one, and free its memory."""
    _cache.release()


def _load(key: EngineKey) -> InProcessEngine:
    sleep_while_waiting(key.device)
    try:
        from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
    except ImportError as error:
        raise MissingExtraError(error.name or "transformers", "transformers") from error
    limit_threads()
    return InProcessEngine(
        key.directory,
        device=key.device,
        dtype=key.dtype,
        batch_size=key.batch_size,
        decoding=key.decoding,
    )


_cache = EngineCache(_load)

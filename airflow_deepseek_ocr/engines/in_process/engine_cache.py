"""The engine of this process: loaded at the first use, kept for the next, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.exceptions import MissingExtraError
from airflow_deepseek_ocr.ocr.decoding import Decoding

if TYPE_CHECKING:
    from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine


@dataclass(frozen=True)
class EngineKey:
    """What tells one engine from another; see :class:`InProcessEngine`."""

    directory: Path
    device: str
    dtype: str
    batch_size: int | None
    decoding: Decoding


_lock = threading.Lock()
_current: tuple[EngineKey, InProcessEngine] | None = None


def cached_engine(key: EngineKey) -> InProcessEngine:
    """The engine for ``key``, loaded if it is not the one at hand.

    An engine with other settings is closed first: two models rarely fit one GPU.

    :raises MissingExtraError: if torch or transformers are not installed.
    :raises UnavailableError: ``model_missing``, ``model_incomplete``.
    :raises ConfigurationError: ``device``, ``dtype``, ``model_config``, ``model_tokenizer``.
    """
    global _current
    with _lock:
        if _current is not None:
            if _current[0] == key:
                return _current[1]
            _release()
        engine = _engine_class()(
            key.directory,
            device=key.device,
            dtype=key.dtype,
            batch_size=key.batch_size,
            decoding=key.decoding,
        )
        _current = (key, engine)
        return engine


def release_cached_engine() -> None:
    """Close the engine at hand, if there is one, and free its memory."""
    with _lock:
        _release()


def _release() -> None:
    global _current
    if _current is not None:
        _current[1].close()
        _current = None


def _engine_class() -> Callable[..., InProcessEngine]:
    try:
        from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
    except ImportError as error:
        raise MissingExtraError(error.name or "transformers", "transformers") from error
    return InProcessEngine
